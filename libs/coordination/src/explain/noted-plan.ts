import type { InferenceRequest, Verdict } from '@baton/inference';
import type { KvConnector } from '../connectors/kv-connector.js';
import type { SiteSource, SplitSites } from '../split/split-sites.js';
import type { RequestPlan } from './request-record.js';

/** Somewhere legs run; only its name counts here. */
type NamedSource = Pick<SiteSource, 'name'>;

/** How a request is to be run, as its manager has asked for it; noted before anything of it has run. */
export class NotedPlan {
  private constructor(
    /** The request as the manager gave it. */
    readonly request: InferenceRequest,
    /** Undefined when the request is not split. */
    readonly connector: KvConnector | undefined,
    readonly prefill: NamedSource | undefined,
    /** Where all of it runs when it is not split. */
    readonly decode: NamedSource,
  ) {}

  static split(request: InferenceRequest, connector: KvConnector, { prefill, decode }: SplitSites): NotedPlan {
    return new NotedPlan(request, connector, prefill, decode);
  }

  static whole(request: InferenceRequest, source: NamedSource): NotedPlan {
    return new NotedPlan(request, undefined, undefined, source);
  }

  /** The plan without what it holds on to. */
  summary(connectorName: string): RequestPlan {
    const { connector, prefill, decode } = this;
    if (connector === undefined) return { kind: 'whole', site: siteOf(decode) };
    return {
      kind: 'split',
      connector: connectorName,
      order: connector.contract.order,
      prefill: siteOf(prefill),
      decode: siteOf(decode),
    };
  }
}

/** Tells the trace of `request` how it is to be run. */
export function notePlan(request: InferenceRequest, plan: () => NotedPlan): void {
  if (request.trace?.planned !== undefined) request.trace.planned(plan());
}

/** This instance, where its handler runs the request as it is. */
export const HANDLER: NamedSource = { name: 'local' };

/**
 * Finds out which of the plans that were noted is that of the manager that took the request: it was noted when that one was
 * asked. What a manager asks for later is a try of its own after the first has not come off.
 */
export class PlanWatch<Plan> {
  #candidate: Plan | undefined;
  #taken: Plan | undefined;

  /** Undefined when no manager took the request, or the one that did says nothing of how. */
  get taken(): Plan | undefined {
    return this.#taken;
  }

  planned(plan: Plan): void {
    this.#candidate ??= plan;
  }

  asked(verdict: Verdict): void {
    if (verdict === 'took') this.#taken = this.#candidate;
    this.#candidate = undefined;
  }
}

const siteOf = (source: NamedSource | undefined): string => source?.name ?? 'unknown';
