import type { LegTrace, RequestTrace, Verdict } from '@baton/inference';
import { NotedPlan, PlanWatch } from './noted-plan.js';
import type { AskedManager } from './request-record.js';

/** Writes down what managers say to a request that is not run. */
export class ExplainTrace implements RequestTrace {
  readonly managers: AskedManager[] = [];
  readonly #plans = new PlanWatch<NotedPlan>();

  /** Of the manager that took the request, when it says how it would run it. */
  get plan(): NotedPlan | undefined {
    return this.#plans.taken;
  }

  asked(manager: string, verdict: Verdict, detail?: string): void {
    this.#plans.asked(verdict);
    this.managers.push(detail === undefined ? { manager, verdict } : { manager, verdict, detail });
  }

  planned(plan: object): void {
    if (plan instanceof NotedPlan) this.#plans.planned(plan);
  }

  considered(): void {}

  leg(): LegTrace {
    return { firstPart: () => undefined, ended: () => undefined };
  }
}
