import type { FaultSet } from '../faults/fault-set.js';
import type { JsonObject } from '../json.js';
import type { KvLedger } from '../ledger/kv-ledger.js';

/** What a KV transfer is made of. */
export interface TransferContext {
  readonly ledger: KvLedger;
  readonly faults: FaultSet;
  /** What it listens on, and what it tells others to come to. */
  readonly host: string;
  readonly advertisedHost: string;
  /** 0: any free port. */
  readonly kvPort: number;
  readonly bootstrapPort: number;
  readonly zmqPort: number;
  readonly model: string;
  readonly ranks: number;
  readonly role: 'prefill' | 'decode' | 'both';
  /** How long a prefill's blocks wait for a decode. */
  readonly leaseMs: number;
  /** How often a decode that waits says so; default: a sixth of the lease. */
  readonly heartbeatMs: number;
  /** How long one side of a rendezvous waits for the other. */
  readonly timeoutMs: number;
  /** How long a transfer takes for each token. */
  readonly transferUsPerToken: number;
  /** What the first contact between two servers takes. */
  readonly handshakeMs: number;
  readonly storeDir: string | undefined;
  readonly log: (message: string, facts: JsonObject) => void;
}

/** Both sides of a transfer must have the same, or neither can read the other's blocks. */
export const compatOf = ({ model, ledger }: TransferContext): string => `${model}/${ledger.blockTokens}`;
