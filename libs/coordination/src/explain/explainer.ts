import {
  ANONYMOUS,
  InferenceError,
  type Caller,
  type InferenceApi,
  type InferenceRequest,
  type JsonObject,
  type LegRole,
} from '@baton/inference';
import { RemotePool, type LegSite } from '@baton/remotes';
import { Inject, Injectable } from '@nestjs/common';
import { throwError } from 'rxjs';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import { DEFAULT_TOTAL_TIMEOUT_MS, type CoordinationOptions } from '../coordination.options.js';
import { uncontained } from '../dispatch/contained-calls.js';
import { Dispatcher, LOCAL_ANSWER } from '../dispatch/dispatcher.js';
import { dispatchable, REQUEST_ID_HEADER, sentRequest } from '../http/route-contract.js';
import type { LocalExecution } from '../managers/disaggregated-request-manager.js';
import { LocalSite } from '../split/local-site.js';
import { prefillDeadline } from '../split/prefill-pace.js';
import { HandoffAddresses } from '../trust/handoff-addresses.js';
import { cancellationSteps } from './cancellation-steps.js';
import { ExplainTrace } from './explain-trace.js';
import { HANDLER, NotedPlan, notePlan } from './noted-plan.js';
import { RecordBudget, redacted } from './redaction.js';
import type {
  AskedManager,
  CancellationStep,
  Consideration,
  DeadlineSplit,
  RedactedBody,
  RequestPlan,
} from './request-record.js';
import { splitLegs, wholeLeg, type SketchedLeg } from './sketched-legs.js';

/** A request to be explained. Whoever takes it from outside checks its body against the route's class before. */
export interface ExplainInput {
  readonly api: InferenceApi;
  readonly body: JsonObject;
  /** The client's headers; names in any case. An `x-request-id` decides in which shares of requests (`canary`) it is. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Who would send it. Default: a client without a key. */
  readonly caller?: Caller;
}

/** A leg as it would be sent. */
export interface ExplainedLeg {
  readonly role: LegRole;
  /** The name of a pool (`prefill`, `decode`), `local`, or `unknown`. */
  readonly site: string;
  readonly stream: boolean;
  /** Null when it is not known before it runs; `note` says why. */
  readonly body: RedactedBody | null;
  /** What of it is only known when it runs. */
  readonly note?: string;
}

/** What would happen to a request now. */
export interface Explanation {
  /** The id that it was explained under. */
  readonly id: string | null;
  readonly api: InferenceApi;
  readonly model: string | null;
  readonly stream: boolean;
  /** Whether somebody else coordinates it. */
  readonly isLeg: boolean;
  /** The snapshot of the policies. */
  readonly policyVersion: string;
  /** Who would answer: a manager, or `local`; null when it would be refused. */
  readonly answeredBy: string | null;
  /** What it would be refused with, by this instance or by a manager. */
  readonly refusal: { readonly status: number; readonly code: string | null; readonly message: string } | null;
  readonly managers: readonly AskedManager[];
  readonly plan: RequestPlan;
  readonly considered: readonly Consideration[];
  readonly legs: readonly ExplainedLeg[];
  readonly deadline: DeadlineSplit | null;
  readonly cancellation: readonly CancellationStep[];
}

/**
 * Says what would happen to a request. Nothing is run: no leg is sent, no endpoint is taken, no picker is asked and nothing is
 * counted. The managers themselves are asked, as for a real request; their own books are theirs to keep. What only the engine
 * finds out (`RequestCheck`) is not part of it.
 */
@Injectable()
export class Explainer {
  constructor(
    private readonly dispatcher: Dispatcher,
    private readonly here: LocalSite,
    private readonly addresses: HandoffAddresses,
    @Inject(COORDINATION_OPTIONS) private readonly options: CoordinationOptions,
  ) {}

  explain({ api, body, headers = {}, caller = ANONYMOUS }: ExplainInput): Explanation {
    const { model, stream } = body;
    const startedMs = performance.now();
    const trace = new ExplainTrace();
    const nothing: Explanation = {
      ...{ id: null, api, model: typeof model === 'string' ? model : null, stream: stream === true, isLeg: false },
      ...{ policyVersion: this.dispatcher.version, answeredBy: null, refusal: null, managers: trace.managers },
      ...{ plan: { kind: 'unknown' }, considered: [], legs: [], deadline: null, cancellation: [] },
    };
    let asked = nothing;
    try {
      const request = this.#received({ api, body, headers, caller }, trace);
      asked = { ...nothing, id: request.id, isLeg: request.isLeg, deadline: deadlineOf(request, startedMs) };
      return { ...asked, ...this.#decided(request, trace, startedMs) };
    } catch (error) {
      if (!(error instanceof InferenceError)) throw error;
      const { status, code, message } = error;
      return { ...asked, refusal: { status, code, message } };
    }
  }

  /** As the interceptor makes it. */
  #received({ api, body, headers, caller }: Required<ExplainInput>, trace: ExplainTrace): InferenceRequest {
    const lowered = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    const { totalTimeoutMs = DEFAULT_TOTAL_TIMEOUT_MS } = this.options;
    const id = lowered[REQUEST_ID_HEADER];
    const sent = sentRequest({ id, api, body, headers: lowered, caller, totalTimeoutMs });
    const request = dispatchable(sent, this.dispatcher.runsLegs);
    if (request.isLeg) this.addresses.assertLeg(request);
    return { ...request, trace };
  }

  #decided(request: InferenceRequest, trace: ExplainTrace, startedMs: number): Partial<Explanation> {
    const taken = this.dispatcher.isActive ? this.dispatcher.rehearse(request, notRun) : undefined;
    const answeredBy = taken?.manager ?? LOCAL_ANSWER;
    const plan = taken === undefined ? NotedPlan.whole(request, HANDLER) : trace.plan;
    if (plan === undefined) return { answeredBy };
    const contract = plan.connector?.contract;
    return {
      answeredBy,
      plan: plan.summary(this.options.connector ?? ''),
      considered: consideredFor(plan),
      legs: this.#legs(plan),
      deadline: deadlineOf(plan.request, startedMs, plan),
      cancellation: contract === undefined ? [] : cancellationSteps(contract, plan.request, this.options),
    };
  }

  #legs(plan: NotedPlan): readonly ExplainedLeg[] {
    const { connector, prefill, decode, request } = plan;
    const split = (): readonly SketchedLeg[] =>
      connector === undefined
        ? [wholeLeg(request)]
        : splitLegs(uncontained(connector), request, { prefill: this.#siteOf(prefill), decode: this.#siteOf(decode) });
    return split().map(({ role, leg, note }) => ({
      role,
      site: (role === 'prefill' ? prefill : decode)?.name ?? 'unknown',
      stream: leg?.stream ?? false,
      body: leg === undefined ? null : redacted(leg.body, new RecordBudget(MAX_CHARACTERS)),
      ...(note === undefined ? {} : { note }),
    }));
  }

  /** Stands for the site that would be picked: the first that could be. */
  #siteOf(source: NotedPlan['prefill']): LegSite {
    const run = notRun;
    if (!(source instanceof RemotePool))
      return { endpoint: source?.name === 'local' ? this.here.endpoint : undefined, run };
    const offered = source.considered().find(({ excluded }) => excluded === undefined);
    const endpoint = source.endpoints.find(({ name }) => name === offered?.name) ?? source.endpoints[0];
    return { endpoint, run };
  }
}

/** The handler, which is not run. */
const notRun: LocalExecution = (leg) => {
  notePlan(leg, () => NotedPlan.whole(leg, HANDLER));
  return throwError(() => new Error('An explanation runs nothing.'));
};

/** The pools in the order in which their endpoints are picked. */
function consideredFor({ connector, prefill, decode }: NotedPlan): readonly Consideration[] {
  const isDecodeFirst = connector?.contract.decoder === 'first';
  return (isDecodeFirst ? [decode, prefill] : [prefill, decode]).flatMap((source) =>
    source instanceof RemotePool ? [{ leg: source.name, endpoints: source.considered() }] : [],
  );
}

function deadlineOf(request: InferenceRequest, startedMs: number, plan?: NotedPlan): DeadlineSplit | null {
  if (request.deadlineMs === undefined) return null;
  const left = (atMs: number): number => Math.round(atMs - startedMs);
  const prefillMs = plan?.connector?.contract.order === 'serial' ? prefillDeadline(request, startedMs) : undefined;
  return { totalMs: left(request.deadlineMs), prefillMs: prefillMs === undefined ? null : left(prefillMs) };
}

/** Of one body. */
const MAX_CHARACTERS = 16_384;
