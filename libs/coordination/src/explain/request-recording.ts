import type {
  ConsideredEndpoint,
  InferenceRequest,
  LegRole,
  LegTrace,
  RequestTrace,
  SentLeg,
  Verdict,
} from '@baton/inference';
import type { KvContract } from '../connectors/kv-connector.js';
import type { CoordinationOptions } from '../coordination.options.js';
import { LOCAL_ANSWER } from '../dispatch/dispatcher.js';
import type { StreamEndReason } from '../observer.js';
import { cancellationSteps } from './cancellation-steps.js';
import { LegRecording } from './leg-recording.js';
import { NotedPlan, PlanWatch } from './noted-plan.js';
import { RecordBudget } from './redaction.js';
import type { AskedManager, Consideration, RequestPlan, RequestRecord } from './request-record.js';
import { word } from './word.js';

/** What a recording has to know besides its request. */
export interface RecordingOptions {
  /** The snapshot of the policies that the request is dispatched on. */
  readonly policyVersion: string;
  /** Whether its answer carries the record. */
  readonly isInline: boolean;
  readonly coordination: CoordinationOptions;
}

/**
 * Writes down what is decided for one request and how its legs go. Bounded, and keeps nothing of the request itself; what is
 * only needed to be shown is worked out when it is shown.
 */
export class RequestRecording implements RequestTrace {
  readonly id: string;
  readonly key: string;
  readonly isInline: boolean;
  readonly #request: Pick<RequestRecord, 'api' | 'model' | 'stream' | 'caller' | 'isLeg'>;
  readonly #deadlineMs: number | undefined;
  readonly #policyVersion: string;
  readonly #coordination: CoordinationOptions;
  readonly #startedMs = performance.now();
  readonly #startedAt = Date.now();
  readonly #budget = new RecordBudget(MAX_CHARACTERS);
  readonly #plans = new PlanWatch<{ readonly summary: RequestPlan; readonly contract: KvContract | undefined }>();
  readonly #managers: AskedManager[] = [];
  readonly #considered: Consideration[] = [];
  readonly #legs: LegRecording[] = [];
  readonly #settlements: { settlement: string; strandedMs: number; atMs: number }[] = [];
  #answeredBy: string | undefined;
  #leftDuring: string | undefined;
  #endReason: StreamEndReason | undefined;
  #endedMs: number | undefined;

  constructor(request: InferenceRequest, { policyVersion, isInline, coordination }: RecordingOptions) {
    const { api, stream, isLeg, caller } = request;
    const model = request.body['model'];
    this.id = request.id;
    this.key = request.key;
    this.isInline = isInline;
    this.#request = {
      ...{ api, stream, isLeg, caller: word(caller.label) },
      model: typeof model === 'string' ? word(model) : null,
    };
    this.#deadlineMs = request.deadlineMs;
    this.#policyVersion = policyVersion;
    this.#coordination = coordination;
  }

  asked(manager: string, verdict: Verdict, detail?: string): void {
    this.#plans.asked(verdict);
    if (this.#managers.length >= MAX_MANAGERS) this.#budget.omitted += 1;
    else this.#managers.push(detail === undefined ? { manager, verdict } : { manager, verdict, detail: word(detail) });
  }

  considered(leg: string, endpoints: readonly ConsideredEndpoint[]): void {
    const shown = endpoints.length > MAX_ENDPOINTS ? endpoints.slice(0, MAX_ENDPOINTS) : endpoints;
    this.#budget.omitted += endpoints.length - shown.length;
    if (this.#considered.length >= MAX_CONSIDERED) this.#budget.omitted += 1;
    else this.#considered.push({ leg, endpoints: shown });
  }

  leg(leg: SentLeg): LegTrace {
    return this.legAs('whole', leg);
  }

  as(role: LegRole): RequestTrace {
    return new RoleTrace(this, role);
  }

  /** A leg of that role was sent. */
  legAs(role: LegRole, leg: SentLeg): LegTrace {
    if (this.#legs.length >= MAX_LEGS) {
      this.#budget.omitted += 1;
      return UNTOLD;
    }
    const recording = new LegRecording(role, leg, this.#budget);
    this.#legs.push(recording);
    return recording;
  }

  planned(plan: object): void {
    // Not the plan itself, which holds the request.
    if (plan instanceof NotedPlan) {
      const summary = plan.summary(this.#coordination.connector ?? '');
      this.#plans.planned({ summary, contract: plan.connector?.contract });
    }
  }

  left(phase: string): void {
    this.#leftDuring ??= phase;
  }

  settled(settlement: string, strandedMs: number): void {
    if (this.#settlements.length >= MAX_SETTLEMENTS) this.#budget.omitted += 1;
    else this.#settlements.push({ settlement, strandedMs, atMs: performance.now() });
  }

  /** A manager answers, or `local`; may be said again when another one has to. */
  answeredBy(manager: string): void {
    this.#answeredBy = manager;
  }

  /** It is over for its client. */
  over(reason: StreamEndReason): void {
    if (this.#endReason !== undefined) return;
    this.#endReason = reason;
    this.#endedMs = performance.now();
  }

  /** What is known now. */
  view(): RequestRecord {
    const since = (atMs: number | undefined): number | null =>
      atMs === undefined ? null : Math.round((atMs - this.#startedMs) * 100) / 100;
    const { summary, contract } = this.#plans.taken ?? { summary: undefined, contract: undefined };
    const isHandler = summary === undefined && this.#answeredBy === LOCAL_ANSWER;
    return {
      id: this.id,
      key: this.key,
      ...this.#request,
      startedAt: new Date(this.#startedAt).toISOString(),
      policyVersion: this.#policyVersion,
      answeredBy: this.#answeredBy ?? null,
      managers: [...this.#managers],
      plan: summary ?? (isHandler ? { kind: 'whole', site: LOCAL_ANSWER } : { kind: 'unknown' }),
      considered: [...this.#considered],
      legs: this.#legs.map((leg) => leg.view(since)),
      deadline: this.#deadline(since),
      cancellation: contract === undefined ? [] : cancellationSteps(contract, this.#request, this.#coordination),
      leftDuring: this.#leftDuring ?? null,
      settlements: this.#settlements.map(({ settlement, strandedMs, atMs }) => ({
        ...{ settlement, strandedMs: Math.round(strandedMs), atMs: since(atMs) ?? 0 },
      })),
      endReason: this.#endReason ?? null,
      endedMs: since(this.#endedMs),
      omitted: this.#budget.omitted,
    };
  }

  #deadline(since: (atMs: number | undefined) => number | null): RequestRecord['deadline'] {
    const totalMs = since(this.#deadlineMs);
    if (totalMs === null) return null;
    const prefill = this.#legs.find(({ role }) => role === 'prefill')?.deadlineMs;
    return { totalMs, prefillMs: prefill === this.#deadlineMs ? null : since(prefill) };
  }
}

/** A recording, for the legs of one role. */
class RoleTrace implements RequestTrace {
  constructor(
    private readonly recording: RequestRecording,
    private readonly role: LegRole,
  ) {}

  asked(manager: string, verdict: Verdict, detail?: string): void {
    this.recording.asked(manager, verdict, detail);
  }

  considered(leg: string, endpoints: readonly ConsideredEndpoint[]): void {
    this.recording.considered(leg, endpoints);
  }

  leg(leg: SentLeg): LegTrace {
    return this.recording.legAs(this.role, leg);
  }

  as(role: LegRole): RequestTrace {
    return this.recording.as(role);
  }

  left(phase: string): void {
    this.recording.left(phase);
  }

  settled(settlement: string, strandedMs: number): void {
    this.recording.settled(settlement, strandedMs);
  }
}

const UNTOLD: LegTrace = { firstPart: () => undefined, ended: () => undefined };

/** Of all bodies of one record. */
const MAX_CHARACTERS = 16_384;
const [MAX_MANAGERS, MAX_CONSIDERED, MAX_ENDPOINTS, MAX_LEGS, MAX_SETTLEMENTS] = [64, 16, 32, 16, 8];
