import { parseArgs } from 'node:util';
import type { EngineOptions } from './engine/engine-options.js';
import type { DialectOptions } from './dialects/dialect.js';
import type { LlamaCppOptions } from './dialects/llamacpp/llamacpp-options.js';
import type { SglangOptions } from './dialects/sglang/sglang-options.js';
import type { TrtLlmOptions } from './dialects/trtllm/trtllm-options.js';
import type { TransferContext } from './kv/transfer-context.js';

/** Everything a simulator is started with. */
export interface SimulatorOptions {
  readonly dialect: string;
  readonly kv: string;
  readonly host: string;
  readonly port: number;
  readonly apiKey: string | undefined;
  readonly keepAliveMs: number;
  readonly log: boolean;
  readonly kvBlocks: number;
  readonly blockTokens: number;
  readonly engine: EngineOptions;
  readonly transfer: Omit<TransferContext, 'ledger' | 'faults' | 'log'>;
  readonly http: DialectOptions & SglangOptions & TrtLlmOptions & LlamaCppOptions;
}

/** Names and defaults of the command line; all values are texts there. */
const DEFAULTS = {
  dialect: 'vllm',
  kv: 'none',
  host: '127.0.0.1',
  'advertised-host': '',
  port: '0',
  'kv-port': '0',
  'bootstrap-port': '0',
  'zmq-port': '0',
  model: 'sim',
  role: 'both',
  'prefill-us-per-token': '0',
  'decode-us-per-token': '0',
  'transfer-us-per-token': '0',
  'handshake-ms': '0',
  'kv-lease-ms': '30000',
  'heartbeat-ms': '',
  'transfer-timeout-ms': '480000',
  'kv-load-failure-policy': 'fail',
  'max-running': '256',
  'max-queued': '',
  'max-model-len': '',
  'default-max-tokens': '256',
  'data-parallel-size': '1',
  'kv-blocks': '65536',
  'block-tokens': '16',
  'keep-alive-ms': '60000',
  'store-dir': '',
  'api-key': '',
  'context-finish': 'length',
  slots: '',
  'load-ms': '0',
  'sse-ping-ms': '',
} as const;

const SWITCHES = [
  ...(['prefix-caching', 'conditional-decode', 'stream-output', 'no-prompt-tokens-details'] as const),
  ...(['tokens-only', 'log', 'help'] as const),
] as const;

type Name = keyof typeof DEFAULTS;

/** The options of a command line; missing ones have their defaults. Throws on what it does not know. */
export function parseOptions(args: readonly string[]): SimulatorOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, { type: 'string' as const }])),
      ...Object.fromEntries(SWITCHES.map((name) => [name, { type: 'boolean' as const }])),
    },
  });
  const text = (name: Name): string => {
    const value = values[name];
    return typeof value === 'string' ? value : DEFAULTS[name];
  };
  const number = (name: Name, fallback = NaN): number => {
    const value = text(name) === '' ? fallback : Number(text(name));
    if (Number.isNaN(value) || value < 0) throw new RangeError(`--${name} must be a number of at least 0`);
    return value;
  };
  const oneOf = <T extends string>(name: Name, ...allowed: readonly T[]): T => {
    const value = allowed.find((item) => item === text(name));
    if (value === undefined) throw new RangeError(`--${name} must be one of ${allowed.join(', ')}`);
    return value;
  };
  const optional = (name: Name): string | undefined => (text(name) === '' ? undefined : text(name));
  const is = (name: (typeof SWITCHES)[number]): boolean => values[name] === true;

  const [host, model, role] = [text('host'), text('model'), oneOf('role', 'prefill', 'decode', 'both')];
  const [kvBlocks, blockTokens, ranks] = [number('kv-blocks'), number('block-tokens'), number('data-parallel-size')];
  const leaseMs = number('kv-lease-ms');
  const storeDir = optional('store-dir');
  return {
    dialect: text('dialect'),
    kv: text('kv'),
    host,
    port: number('port'),
    apiKey: optional('api-key'),
    keepAliveMs: number('keep-alive-ms'),
    log: is('log'),
    kvBlocks,
    blockTokens,
    engine: {
      model,
      maxModelLen: number('max-model-len', kvBlocks * blockTokens),
      defaultMaxTokens: number('default-max-tokens'),
      prefillUsPerToken: number('prefill-us-per-token'),
      decodeUsPerToken: number('decode-us-per-token'),
      maxRunning: number('max-running'),
      maxQueued: number('max-queued', Infinity),
      dataParallelSize: ranks,
      // Without a cache there would be no request that is taken.
      prefixCaching: is('prefix-caching') || is('conditional-decode'),
      conditionalDecode: is('conditional-decode'),
      promptTokensDetails: !is('no-prompt-tokens-details'),
      kvLoadFailurePolicy: oneOf('kv-load-failure-policy', 'fail', 'recompute'),
    },
    transfer: {
      host,
      advertisedHost: text('advertised-host') === '' ? host : text('advertised-host'),
      kvPort: number('kv-port'),
      bootstrapPort: number('bootstrap-port'),
      zmqPort: number('zmq-port'),
      model,
      ranks,
      role,
      leaseMs,
      heartbeatMs: number('heartbeat-ms', leaseMs / 6),
      timeoutMs: number('transfer-timeout-ms'),
      transferUsPerToken: number('transfer-us-per-token'),
      handshakeMs: number('handshake-ms'),
      storeDir,
    },
    http: {
      model,
      role,
      tokensOnly: is('tokens-only'),
      storeDir,
      streamOutput: is('stream-output'),
      contextFinish: oneOf('context-finish', 'length', 'not_finished'),
      loadMs: number('load-ms'),
      ...(text('slots') === '' ? {} : { slots: number('slots') }),
      ...(text('sse-ping-ms') === '' ? {} : { ssePingMs: number('sse-ping-ms') }),
    },
  };
}

/** What `--help` says. */
export const usageText = (): string =>
  [
    'A test double of an LLM engine server: its HTTP and its KV handoffs, without a GPU or a model.',
    '',
    ...Object.entries(DEFAULTS).map(([name, value]) => `  --${name} ${value === '' ? '…' : value}`),
    ...SWITCHES.map((name) => `  --${name}`),
    '',
  ].join('\n');
