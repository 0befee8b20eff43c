import { fileURLToPath } from 'node:url';
import type { SideChannelAccess } from './handoff/side-channel-access.js';

/** How the KV cache is handed over; see {@link EmbeddedEngineOptions}. */
export interface KvOptions {
  /** Address that the side channel listens on. Default 127.0.0.1. */
  readonly host?: string;
  /** Host that other instances reach the side channel at. Default: `host`. */
  readonly advertiseHost?: string;
  /** Port of the side channel; 0 (default) takes a free one. */
  readonly port?: number;
  /** Side channels that may be dialled, each `host:port` or `host:*`. Default: none. */
  readonly peers?: readonly string[];
  /** Key for those, sent as a bearer token. Default: none is sent. */
  readonly apiKey?: string;
  /** Who may read and free what this engine keeps for others. Default: nobody. */
  readonly access?: SideChannelAccess;
  /** Networks that those have to be in once their names are resolved, as CIDR. Default: all. */
  readonly allowedNetworks?: readonly string[];
  /** How long a handoff is kept for its decode leg, in milliseconds. Default 30,000. */
  readonly handoffTtlMs?: number;
  /** Largest KV state that is taken from a peer, in bytes. Default 1 GiB. */
  readonly maxHandoffBytes?: number;
  /**
   * All KV states together that are kept for others or taken from them and not loaded yet, in bytes. Above it a
   * prefill leg fails with 503 `kv_store_full`, and a decode leg evaluates its prompt itself. Default 4 GiB.
   */
  readonly maxKeptBytes?: number;
  /**
   * Longest time that the transfer of one KV state may take, in milliseconds: a handoff that is being read is kept
   * this much longer than `handoffTtlMs` at most. Default 30,000.
   */
  readonly pullTimeoutMs?: number;
  /** Where KV states are written; default `/dev/shm` where there is one, else the temporary folder. */
  readonly directory?: string;
}

/** Options of an `EmbeddedEngine`. They are validated by whoever reads the configuration. */
export interface EmbeddedEngineOptions {
  /** Path of a GGUF file. Default: the demo model of this package. */
  readonly model?: string;
  /** Name that requests call the model by. Default: the file's name without `.gguf`. */
  readonly modelName?: string;
  /** Prompt and answer together, in tokens; 0 (default) takes what the model was trained for. */
  readonly contextTokens?: number;
  /** Requests that are evaluated at once. P and D must have the same number. Default 8. */
  readonly sequences?: number;
  /** Most tokens in one evaluation, at least 128. Default 512. */
  readonly batchTokens?: number;
  /** Threads of llama.cpp, at most this instance's share of the cores; 0 (default) takes what fits. */
  readonly threads?: number;
  /** Instances that share this machine's cores. Default 1. */
  readonly instancesOnMachine?: number;
  /** Requests that may wait for a sequence. Default 256. */
  readonly maxWaiting?: number;
  /** Longest wait for a sequence, in milliseconds. Default 60,000. */
  readonly waitTimeoutMs?: number;
  /** An evaluation that takes longer makes the engine not ready, in milliseconds. Default 30,000. */
  readonly stallTimeoutMs?: number;
  /** Identity of this engine in handoffs. Default: a fresh one. */
  readonly engineId?: string;
  readonly kv?: KvOptions;
  /** Takes llama.cpp's warnings and errors. Default: they are dropped. */
  readonly log?: (level: 'warn' | 'error', message: string) => void;
}

/** The demo model that comes with this package; the path is the same from `src` and from `dist`. */
export const DEMO_MODEL = fileURLToPath(new URL('../../demo-model/demo-stories.gguf', import.meta.url));

const GIBIBYTE = 1024 ** 3;

/** `EmbeddedEngineOptions` with all defaults filled in. */
export type ResolvedOptions = Required<Omit<EmbeddedEngineOptions, 'kv' | 'log' | 'engineId' | 'modelName'>> &
  Pick<EmbeddedEngineOptions, 'engineId' | 'modelName' | 'log'> & { readonly kv: Required<KvOptions> };

/**
 * Fills in the defaults; an empty string means the default as well.
 *
 * @throws RangeError that names the option, for values that would make the engine misbehave.
 */
export function resolveOptions(options: EmbeddedEngineOptions): ResolvedOptions {
  const kv = options.kv ?? {};
  const host = kv.host || '127.0.0.1';
  const resolved: ResolvedOptions = {
    model: options.model || DEMO_MODEL,
    modelName: options.modelName || undefined,
    contextTokens: options.contextTokens ?? 0,
    sequences: options.sequences ?? 8,
    batchTokens: options.batchTokens ?? 512,
    threads: options.threads ?? 0,
    instancesOnMachine: options.instancesOnMachine ?? 1,
    maxWaiting: options.maxWaiting ?? 256,
    waitTimeoutMs: options.waitTimeoutMs ?? 60_000,
    stallTimeoutMs: options.stallTimeoutMs ?? 30_000,
    engineId: options.engineId,
    log: options.log,
    kv: {
      host,
      advertiseHost: kv.advertiseHost || host,
      port: kv.port ?? 0,
      peers: kv.peers ?? [],
      apiKey: kv.apiKey ?? '',
      access: kv.access ?? {},
      allowedNetworks: kv.allowedNetworks ?? [],
      handoffTtlMs: kv.handoffTtlMs ?? 30_000,
      maxHandoffBytes: kv.maxHandoffBytes ?? GIBIBYTE,
      maxKeptBytes: kv.maxKeptBytes ?? 4 * GIBIBYTE,
      pullTimeoutMs: kv.pullTimeoutMs ?? 30_000,
      directory: kv.directory ?? '',
    },
  };
  atLeast('sequences', resolved.sequences, 1);
  atLeast('batchTokens', resolved.batchTokens, 128);
  atLeast('contextTokens', resolved.contextTokens, 0);
  atLeast('threads', resolved.threads, 0);
  atLeast('instancesOnMachine', resolved.instancesOnMachine, 1);
  atLeast('maxWaiting', resolved.maxWaiting, 0);
  return resolved;
}

function atLeast(name: string, value: number, min: number): void {
  if (!Number.isInteger(value) || value < min) {
    throw new RangeError(`Engine option ${name} is ${value}; it must be an integer of at least ${min}.`);
  }
}
