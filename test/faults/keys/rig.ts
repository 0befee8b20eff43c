import { createHash } from 'node:crypto';
import { SimulatorProcess } from '../../support/simulator-process.js';
import { InstanceProcess } from '../../support/instance-process.js';

/** The keys of the rig. Each begins as the others do, and none is a word of any answer. */
export const KEYS = {
  client: 'canary-key-of-a-client-7c1e',
  peer: 'canary-key-of-a-peer-93ab',
  admin: 'canary-key-of-an-admin-55d0',
  toPrefill: 'canary-key-for-prefill-1f72',
  toDecode: 'canary-key-for-decode-b604',
  toSideChannels: 'canary-key-for-kv-08ce',
} as const;

export const digest = (key: string): string => createHash('sha256').update(key).digest('hex');
export const bearer = (key: string): string => `Bearer ${key}`;

/** A coordinator with keys before engines with keys. */
export interface KeysRig {
  readonly instance: InstanceProcess;
  readonly prefill: SimulatorProcess;
  readonly decode: SimulatorProcess;
  stop(): Promise<void>;
}

/** @param settings more `BATON_*` settings of the coordinator. */
export async function startKeysRig(settings: Readonly<Record<string, string>> = {}): Promise<KeysRig> {
  const common = { dialect: 'vllm', kv: 'nixl' };
  const [prefill, decode] = await Promise.all([
    SimulatorProcess.start({ ...common, 'api-key': KEYS.toPrefill }),
    SimulatorProcess.start({ ...common, 'api-key': KEYS.toDecode }),
  ]);
  const instance = await InstanceProcess.start({
    BATON_ENGINE_KIND: 'none',
    BATON_COORDINATION_CONNECTOR: 'nixl',
    BATON_COORDINATION_PREFILL_DIALECT: 'vllm',
    BATON_COORDINATION_PREFILL_ENDPOINTS: prefill.url,
    BATON_COORDINATION_PREFILL_API_KEY: KEYS.toPrefill,
    BATON_COORDINATION_DECODE_DIALECT: 'vllm',
    BATON_COORDINATION_DECODE_ENDPOINTS: decode.url,
    BATON_COORDINATION_DECODE_API_KEY: KEYS.toDecode,
    BATON_COORDINATION_RETRY_BUDGET_PER_SECOND: '1000000',
    BATON_KV_API_KEY: KEYS.toSideChannels,
    BATON_SECURITY_KEYLESS: 'auto',
    BATON_SECURITY_CLIENT_KEYS: `shop:${KEYS.client}`,
    BATON_SECURITY_PEER_KEYS: `fleet:${KEYS.peer}`,
    BATON_SECURITY_ADMIN_KEYS: `ops:${KEYS.admin}`,
    ...settings,
  });
  const stop = async (): Promise<void> => {
    await Promise.all([instance, prefill, decode].map((process) => process.stop()));
  };
  return { instance, prefill, decode, stop };
}

/** What an instance is asked by an operator. */
export async function asAdmin(instance: InstanceProcess, path: string): Promise<Response> {
  return fetch(instance.url + path, { headers: { authorization: bearer(KEYS.admin) } });
}
