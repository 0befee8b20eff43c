import { CoordinationObserver, type HandoffLedger, type Phase, type Settlement } from '@baton/coordination';
import type { InferenceError, InferenceRequest } from '@baton/inference';
import type { FakeEngines } from './fake-engines.js';

/** What is known of KV at one moment. */
export interface HandoffState {
  /** Handoffs that the ledger accounts for, and prefills that may still answer for a client that has gone. */
  readonly owed: number;
  /** How those that are owed no more ended, in order. */
  readonly settled: readonly Settlement[];
  /** KV that is held at a P, and that nobody accounts for: only its lease would free it. */
  readonly stranded: readonly string[];
}

/** Looks at what the ledger owes, and at what the engines hold. */
export class HandoffProbe {
  constructor(
    private readonly ledger: HandoffLedger,
    private readonly engines: FakeEngines,
    private readonly observer: RecordingObserver,
  ) {}

  get state(): HandoffState {
    const { heldKv } = this.engines;
    const owed = this.ledger.open;
    return { owed, settled: this.observer.settlements, stranded: owed === 0 ? heldKv : [] };
  }
}

/** Writes down what is told. */
export class RecordingObserver extends CoordinationObserver {
  readonly settlements: Settlement[] = [];
  readonly failures: InferenceError[] = [];
  readonly fallbacks: string[] = [];
  readonly leftIn: Phase[] = [];

  override settled(settlement: Settlement): void {
    this.settlements.push(settlement);
  }

  override failed(_request: InferenceRequest, error: InferenceError): void {
    this.failures.push(error);
  }

  override fellBack(reason: string): void {
    this.fallbacks.push(reason);
  }

  override clientLeft(phase: Phase): void {
    this.leftIn.push(phase);
  }
}
