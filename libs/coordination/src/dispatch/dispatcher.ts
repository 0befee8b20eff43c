import type { InferenceRequest, ResponsePart } from '@baton/inference';
import { Inject, Injectable } from '@nestjs/common';
import type { Observable } from 'rxjs';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import type { CoordinationOptions } from '../coordination.options.js';
import type { LocalExecution } from '../managers/disaggregated-request-manager.js';
import { CoordinationObserver } from '../observer.js';
import { ManagerRegistry } from '../registry/manager-registry.js';

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

  /** Whether requests are dispatched at all: without a connector everything passes through untouched. */
  get isActive(): boolean {
    return this.options.connector !== undefined;
  }

  /** Undefined when every manager declined, so that the request runs on this instance as it is. */
  dispatch(request: InferenceRequest, local: LocalExecution): Dispatched | undefined {
    for (const { name, manager } of this.managers.table.entries) {
      const parts = manager.dispatch(request, local);
      if (parts !== undefined) {
        this.observer.dispatched(name);
        return { manager: name, parts };
      }
    }
    return undefined;
  }
}
