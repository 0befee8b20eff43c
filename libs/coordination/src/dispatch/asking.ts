import { InferenceError, type InferenceRequest, type ResponsePart } from '@baton/inference';
import { isObservable, throwError, type Observable } from 'rxjs';
import type { LocalExecution } from '../managers/disaggregated-request-manager.js';
import { isInShare } from './canary.js';
import { unmet } from './condition.js';
import { errorOf } from './containment.js';
import type { ManagerCounters } from './dispatch-counters.js';
import type { PolicyEntry } from './policy-table.js';
import { PromptSize } from './prompt-size.js';

/** Where it is written down what managers say. */
export interface AskingLedger {
  count(entry: PolicyEntry, what: keyof ManagerCounters): void;
  /** A manager threw, or answered with what is no answer. Counts it as well. */
  failed(entry: PolicyEntry, request: InferenceRequest, error: Error): void;
}

/** A manager that took the request, and its answer, of which nothing has run. */
export interface Taken {
  readonly entry: PolicyEntry;
  readonly parts: Observable<ResponsePart>;
}

/** The round of one request through the managers of its snapshot; it can go on where it has stopped. */
export class Asking {
  readonly #size: PromptSize;
  #position = 0;
  #fixed: InferenceRequest | undefined;

  constructor(
    readonly request: InferenceRequest,
    readonly local: LocalExecution,
    private readonly entries: readonly PolicyEntry[],
    private readonly ledger: AskingLedger,
  ) {
    this.#size = new PromptSize(request);
  }

  /**
   * Asks on, up to the next manager that takes the request. Undefined when all who are left declined.
   *
   * @throws InferenceError which a manager refused the request with.
   */
  next(): Taken | undefined {
    for (;;) {
      const entry = this.entries[this.#position];
      if (entry === undefined) return undefined;
      this.#position += 1;
      if (this.#isOff(entry) || this.#isSkipped(entry)) continue;
      if (entry.shadow) {
        this.#askShadow(entry);
        continue;
      }
      const parts = this.#ask(entry);
      if (parts !== undefined) return { entry, parts };
    }
  }

  /** Not of the snapshot: what has faults for the requests of one has them for those of the next. */
  #isOff(entry: PolicyEntry): boolean {
    if (entry.containment?.isOff !== true) return false;
    this.ledger.count(entry, 'skipped');
    this.request.trace?.asked(entry.name, 'switched_off', 'its plugin had too many faults');
    return true;
  }

  #isSkipped(entry: PolicyEntry): boolean {
    const { name, disaggregateWhen, canaryPercent } = entry;
    const missed = disaggregateWhen && unmet(disaggregateWhen, this.request, this.#size);
    if (missed === undefined && isInShare(entry, this.request)) return false;
    this.ledger.count(entry, 'skipped');
    if (missed !== undefined) this.request.trace?.asked(name, 'condition', `${missed} does not hold`);
    else this.request.trace?.asked(name, 'canary', `not of the ${canaryPercent} % that it is asked for`);
    return true;
  }

  /**
   * A manager that throws, or answers with something else than parts, has a fault of its own: it is told of, and the next one
   * is asked. What it refuses on purpose, with an `InferenceError`, stands.
   */
  #ask(entry: PolicyEntry): Observable<ResponsePart> | undefined {
    const { request, ledger } = this;
    ledger.count(entry, 'asked');
    try {
      const parts = answerOf(entry, entry.containment === undefined ? request : this.#fixedRequest, this.local);
      ledger.count(entry, parts === undefined ? 'declined' : 'took');
      request.trace?.asked(entry.name, parts === undefined ? 'declined' : 'took');
      return parts;
    } catch (error) {
      if (error instanceof InferenceError) {
        ledger.count(entry, 'refused');
        request.trace?.asked(entry.name, 'failed', `refused the request: ${error.message}`);
        throw error;
      }
      this.#failed(entry, 'failed', errorOf(error));
      return undefined;
    }
  }

  /** Its answer is never subscribed to, and nothing that it says or throws counts for the request. */
  #askShadow(entry: PolicyEntry): void {
    // Without the trace: what it would do must not be taken for what is done.
    const request = Object.freeze<InferenceRequest>({ ...this.#fixedRequest, trace: undefined });
    try {
      const took = answerOf(entry, request, neverHere) !== undefined;
      this.ledger.count(entry, took ? 'shadowTook' : 'shadowDeclined');
      this.request.trace?.asked(entry.name, took ? 'shadow_took' : 'shadow_declined');
    } catch (error) {
      if (error instanceof InferenceError) {
        this.ledger.count(entry, 'shadowFailed');
        this.request.trace?.asked(entry.name, 'shadow_failed', `would refuse the request: ${error.message}`);
      } else this.#failed(entry, 'shadow_failed', errorOf(error));
    }
  }

  /** For managers that are not trusted to leave the request to the next one as it is: setting a field of it throws. */
  get #fixedRequest(): InferenceRequest {
    this.#fixed ??= Object.freeze({ ...this.request, body: Object.freeze({ ...this.request.body }) });
    return this.#fixed;
  }

  #failed(entry: PolicyEntry, verdict: 'failed' | 'shadow_failed', error: Error): void {
    this.request.trace?.asked(entry.name, verdict, error.message);
    this.ledger.failed(entry, this.request, error);
  }
}

/** @throws TypeError for what is no answer, and whatever the manager throws. */
function answerOf(
  { name, manager }: PolicyEntry,
  request: InferenceRequest,
  local: LocalExecution,
): Observable<ResponsePart> | undefined {
  const answer: unknown = manager.dispatch(request, local);
  // What it emits is checked where the manager is contained.
  if (answer === undefined || isObservable(answer)) return answer as Observable<ResponsePart> | undefined;
  // An async manager: what its promise fails with is no more than this, and must not end the process.
  if (answer instanceof Promise) answer.catch(() => undefined);
  throw new TypeError(`The manager ${name} answered with something that is no Observable.`);
}

/** The local execution of a manager that only looks on. */
const neverHere: LocalExecution = () =>
  throwError(() => new Error('A manager that only looks on (shadow) runs nothing.'));
