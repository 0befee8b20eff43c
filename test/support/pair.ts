import { InstanceProcess } from './instance-process.js';

/** A prefill and a decode instance with the embedded engine, as two processes. */
export interface Pair {
  readonly prefill: InstanceProcess;
  readonly decode: InstanceProcess;
  stop(): Promise<void>;
}

const ONE_THREAD = { BATON_ENGINE_THREADS: '1', BATON_ENGINE_INSTANCES_ON_MACHINE: '2' };

/**
 * Starts a pair. The decode instance comes first, since the prefill instance must know its address; the side
 * channel that it may pull from has no number yet, so this host is allowed with any port.
 */
export async function startPair(
  settings: { prefill?: Readonly<Record<string, string>>; decode?: Readonly<Record<string, string>> } = {},
): Promise<Pair> {
  const decode = await InstanceProcess.start({ ...ONE_THREAD, BATON_KV_PEERS: '127.0.0.1:*', ...settings.decode });
  const prefill = await startPrefill(decode.url, settings.prefill);
  return {
    prefill,
    decode,
    stop: async () => {
      await Promise.all([prefill.stop(), decode.stop()]);
    },
  };
}

/** Starts a prefill instance that sends its decode legs to `decodeUrl`. */
export function startPrefill(
  decodeUrl: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<InstanceProcess> {
  return InstanceProcess.start({
    ...ONE_THREAD,
    BATON_COORDINATION_CONNECTOR: 'embedded',
    BATON_COORDINATION_DECODE_ENDPOINTS: decodeUrl,
    ...settings,
  });
}
