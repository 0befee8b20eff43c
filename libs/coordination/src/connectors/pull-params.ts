import { kvTransferParams, type JsonObject } from '@baton/inference';
import { ConnectorMismatchError } from '@baton/remotes';

/** The field in which a P that is not of vLLM's own connectors names the protocol of its handoff. */
export const KV_CONNECTOR = 'kv_connector';

/**
 * What P says of the KV that a D may pull from it: `kv_transfer_params` with `do_remote_prefill`. Undefined when P holds
 * nothing: it was aborted, or does not know of handoffs.
 *
 * @param unnamed whose params are that name no connector.
 * @throws ConnectorMismatchError when they are another connector's than `own`, whose D could make nothing of them.
 */
export function pullParams(answer: JsonObject, own: string, unnamed: string): JsonObject | undefined {
  const params = kvTransferParams(answer);
  if (params?.['do_remote_prefill'] !== true) return undefined;
  assertOwnParams(params, own, unnamed);
  return params;
}

/** @throws ConnectorMismatchError when `params` name another connector than `own`. */
export function assertOwnParams(params: JsonObject, own: string, unnamed: string = own): void {
  const named = params[KV_CONNECTOR];
  const found = typeof named === 'string' ? named : unnamed;
  if (found === own) return;
  throw new ConnectorMismatchError(
    `The prefill instance handed over for connector ${found}, but the configured connector is ${own}.`,
  );
}
