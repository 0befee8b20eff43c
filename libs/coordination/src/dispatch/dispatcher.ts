import { InferenceError, invalidRequest, isTrusted, type InferenceRequest, type ResponsePart } from '@baton/inference';
import { Inject, Injectable } from '@nestjs/common';
import { isObservable, type Observable } from 'rxjs';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import type { CoordinationOptions } from '../coordination.options.js';
import type { DisaggregatedRequestManager, LocalExecution } from '../managers/disaggregated-request-manager.js';
import { CoordinationObserver } from '../observer.js';
import { ManagerRegistry } from '../registry/manager-registry.js';
import { holds } from './condition.js';
import type { PolicyEntry } from './policy-table.js';
import { PromptSize } from './prompt-size.js';

/** On a request: the manager that a trusted caller (a load balancer) chose. On an answer: who answered, or `local`. */
export const MANAGER_HEADER = 'x-baton-manager';

/** A request that a manager took. */
export interface Dispatched {
  /** The manager's name. */
  readonly manager: string;
  /** Its answer; nothing has run yet. */
  readonly parts: Observable<ResponsePart>;
}

/** Asks the managers in order; the first that takes the request answers it. */
@Injectable()
export class Dispatcher {
  constructor(
    private readonly managers: ManagerRegistry,
    private readonly observer: CoordinationObserver,
    @Inject(COORDINATION_OPTIONS) private readonly options: CoordinationOptions,
  ) {}

  /** Whether legs of others are run here; a pure coordinator runs none. */
  get runsLegs(): boolean {
    return this.options.local?.isAvailable ?? true;
  }

  /** Whether requests are dispatched at all: without a connector everything passes through untouched. */
  get isActive(): boolean {
    return this.options.connector !== undefined;
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
   */
  dispatch(request: InferenceRequest, local: LocalExecution, entries = this.order(request)): Dispatched | undefined {
    const size = new PromptSize(request);
    for (const { name, manager, condition } of entries) {
      if (condition !== undefined && !holds(condition, request, size)) continue;
      const parts = this.#ask(name, manager, request, local);
      if (parts !== undefined) {
        this.observer.dispatched(name);
        return { manager: name, parts };
      }
    }
    return undefined;
  }

  /**
   * A manager that throws, or answers with something else than parts, has a fault of its own: it is told of, and the next one
   * is asked. What it refuses on purpose, with an `InferenceError`, stands.
   */
  #ask(
    name: string,
    manager: DisaggregatedRequestManager,
    request: InferenceRequest,
    local: LocalExecution,
  ): Observable<ResponsePart> | undefined {
    try {
      const parts: unknown = manager.dispatch(request, local);
      if (parts === undefined || isObservable(parts)) return parts as Observable<ResponsePart> | undefined;
      throw new TypeError(`The manager ${name} answered with something that is no Observable.`);
    } catch (error) {
      if (error instanceof InferenceError) throw error;
      this.observer.failed(request, InferenceError.from(error));
      return undefined;
    }
  }
}
