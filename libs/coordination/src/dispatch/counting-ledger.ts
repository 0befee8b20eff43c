import { InferenceError, type InferenceRequest } from '@baton/inference';
import type { CoordinationObserver } from '../observer.js';
import type { AskingLedger } from './asking.js';
import type { DispatchCounters, ManagerCounters } from './dispatch-counters.js';
import type { PolicyEntry } from './policy-table.js';

/** Writes down what managers said of real requests, and tells whoever has to know of their faults. */
export class CountingLedger implements AskingLedger {
  constructor(
    private readonly counters: DispatchCounters,
    private readonly observer: CoordinationObserver,
  ) {}

  count({ name }: PolicyEntry, what: keyof ManagerCounters): void {
    this.counters.count(name, what);
  }

  failed(entry: PolicyEntry, request: InferenceRequest, error: Error): void {
    this.observer.failed(request, InferenceError.from(error));
    this.blame(entry, error);
  }

  /** Counts a fault of which is told already, with the failure of its answer. */
  blame(entry: PolicyEntry, error: Error): void {
    this.counters.count(entry.name, entry.shadow ? 'shadowFailed' : 'failed');
    entry.containment?.onFault(error);
  }
}
