import {
  invalidRequest,
  isTrusted,
  recoverBeforeFirst,
  type InferenceRequest,
  type ResponsePart,
} from '@baton/inference';
import { Inject, Injectable } from '@nestjs/common';
import { defer, type Observable } from 'rxjs';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import type { CoordinationOptions } from '../coordination.options.js';
import type { LocalExecution } from '../managers/disaggregated-request-manager.js';
import { CoordinationObserver } from '../observer.js';
import { ManagerRegistry } from '../registry/manager-registry.js';
import { Asking, type AskingLedger, type Taken } from './asking.js';
import { contained, ContainedFault } from './containment.js';
import { CountingLedger } from './counting-ledger.js';
import { DispatchCounters } from './dispatch-counters.js';
import type { PolicyEntry } from './policy-table.js';

/** On a request: the manager that a trusted caller (a load balancer) chose. On an answer: who answered, or `local`. */
export const MANAGER_HEADER = 'x-baton-manager';

/** On an answer: the snapshot of the policies that its request was dispatched on, `<version>.<revision>`. */
export const POLICY_VERSION_HEADER = 'x-baton-policy-version';

/** Who answers when no manager does: the handler itself. */
export const LOCAL_ANSWER = 'local';

/** A request that a manager took. */
export interface Dispatched {
  /** The manager's name. */
  readonly manager: string;
  /** Its answer; nothing has run yet. */
  readonly parts: Observable<ResponsePart>;
}

/** Told who answers a request instead of who took it: a manager's name, or {@link LOCAL_ANSWER}. */
export type OnAnswering = (manager: string) => void;

/** Asks the managers in order; the first that takes the request answers it. */
@Injectable()
export class Dispatcher {
  readonly #ledger: CountingLedger;

  constructor(
    private readonly managers: ManagerRegistry,
    private readonly observer: CoordinationObserver,
    @Inject(COORDINATION_OPTIONS) private readonly options: CoordinationOptions,
    counters: DispatchCounters,
  ) {
    this.#ledger = new CountingLedger(counters, observer);
  }

  /** Whether legs of others are run here; a pure coordinator runs none. */
  get runsLegs(): boolean {
    return this.options.local?.isAvailable ?? true;
  }

  /** Whether requests are dispatched at all: without a connector everything passes through untouched. */
  get isActive(): boolean {
    return this.options.connector !== undefined;
  }

  /** Names the snapshot that a request is dispatched on at this moment. */
  get version(): string {
    return this.managers.table.version;
  }

  /**
   * Who is asked for `request`, in which order: the present policy table, or what a trusted caller chose first.
   *
   * @throws InferenceError 400 `unknown_manager` when it chose one that is not there.
   */
  order(request: InferenceRequest): readonly PolicyEntry[] {
    const { table } = this.managers;
    const name = isTrusted(request.caller) ? request.clientHeaders[MANAGER_HEADER] : undefined;
    if (name === undefined) return table.entries;
    const chosenFirst = table.startingWith(String(name));
    if (chosenFirst !== undefined) return chosenFirst;
    const known = table.entries.map((entry) => entry.name).join(', ') || 'none';
    throw invalidRequest(
      `${MANAGER_HEADER}: there is no manager of that name. Known: ${known}.`,
      null,
      'unknown_manager',
    );
  }

  /**
   * Undefined when every manager declined, so that the request runs on this instance as it is.
   *
   * @param entries who is asked; by default {@link order} of the request.
   * @param onAnswering called when another than the manager that took the request answers it, before the first part.
   */
  dispatch(
    request: InferenceRequest,
    local: LocalExecution,
    entries = this.order(request),
    onAnswering: OnAnswering = () => undefined,
  ): Dispatched | undefined {
    const asking = new Asking(request, local, entries, this.#ledger);
    const taken = this.#next(asking);
    if (taken === undefined) return undefined;
    return { manager: taken.entry.name, parts: this.#answer(taken, asking, onAnswering) };
  }

  /**
   * Asks as {@link dispatch} does, and leaves no trace of it but that of the request: nothing is counted, and faults are
   * nobody's. What comes of it must not be subscribed to.
   */
  rehearse(request: InferenceRequest, local: LocalExecution, entries = this.order(request)): Dispatched | undefined {
    const taken = new Asking(request, local, entries, NO_LEDGER).next();
    return taken && { manager: taken.entry.name, parts: taken.parts };
  }

  #next(asking: Asking): Taken | undefined {
    const taken = asking.next();
    if (taken !== undefined) this.observer.dispatched(taken.entry.name);
    return taken;
  }

  /** What `taken` answers; when something of a plugin has a fault before its first part, what those behind it answer. */
  #answer(taken: Taken, asking: Asking, onAnswering: OnAnswering): Observable<ResponsePart> {
    const { entry } = taken;
    const { request } = asking;
    return this.#own(taken, request).pipe(
      recoverBeforeFirst((error) => {
        if (!(error instanceof ContainedFault)) return undefined;
        return defer(() => {
          request.trace?.asked(entry.name, 'failed', error.message);
          const next = this.#next(asking);
          onAnswering(next?.entry.name ?? LOCAL_ANSWER);
          return next === undefined ? asking.local(request) : this.#answer(next, asking, onAnswering);
        });
      }),
    );
  }

  /** What `taken` answers itself. */
  #own({ entry, parts }: Taken, request: InferenceRequest): Observable<ResponsePart> {
    if (entry.containment === undefined) return parts;
    return contained(parts, entry.containment.firstPartTimeoutMs, (error, isMidAnswer) => {
      if (isMidAnswer) this.#ledger.blame(entry, error);
      else this.#ledger.failed(entry, request, error);
    });
  }
}

const NO_LEDGER: AskingLedger = { count: () => undefined, failed: () => undefined };
