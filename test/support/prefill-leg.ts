import type { InstanceProcess } from './instance-process.js';
import { ask, FLOWS } from './requests.js';

/** The `kv_transfer_params` of a decode leg. */
export type Params = Readonly<Record<string, unknown>>;

/** Runs the prefill leg of a completion on `prefill`. @returns what a decode leg needs to take the KV state. */
export async function prefillLeg(prefill: InstanceProcess, body: Record<string, unknown>): Promise<Params> {
  const { min_tokens: _, ...rest } = body;
  const leg = {
    do_remote_decode: true,
    do_remote_prefill: false,
    remote_engine_id: null,
    remote_request_id: null,
    remote_host: null,
    remote_port: null,
  };
  const answer = await ask(prefill.url, FLOWS[0]!, { ...rest, max_tokens: 1, stream: false, kv_transfer_params: leg });
  const params = answer.events[0]?.['kv_transfer_params'];
  if (typeof params !== 'object' || params === null) throw new Error(`No handoff: ${JSON.stringify(answer.events)}`);
  return params as Params;
}
