import { isJsonObject, type JsonObject } from './json.js';

/**
 * Fields by which some engine is told where KV comes from or goes to, which of its replicas computes, or under which id:
 * vLLM (`kv_transfer_params`, `ec_transfer_params`, P2P tiers), SGLang (`bootstrap_*`, `routed_dp_rank`, `rid`, ...),
 * TensorRT-LLM (`disaggregated_params`, `conversation_params`), LMCache, llama.cpp (`id_slot`), Dynamo (`*_worker_id`). In the spelling of
 * {@link spelled}.
 */
const FIELDS = new Set([
  ...['kvtransferparams', 'ectransferparams', 'disaggregatedparams', 'disaggparams', 'conversationparams'],
  ...['rid', 'requestids', 'kvrequestid', 'ctxrequestid', 'ctxinfoendpoint', 'encodedopaquestate', 'schedulestyle'],
  ...[
    'dprank',
    'dataparallelrank',
    'dataparallelrankdecode',
    'ctxdprank',
    'decodetpsize',
    'transferid',
    'rettransferid',
  ],
  ...['doremoteprefill', 'doremotedecode', 'retfirsttok', 'kvconnector', 'idslot', 'slotid'],
  ...['backendinstanceid', 'prefillworkerid', 'decodeworkerid', 'workerid', 'targetworkerid'],
]);
const PREFIXES = [
  'bootstrap',
  'remote',
  'receiver',
  'disagg',
  'routeddp',
  'lmcache',
  'firstgen',
  'peerhost',
  'peerport',
];

/** Where engines take such fields from besides the top level: vLLM copies `extra_args` and `vllm_xargs` into its own. */
const HOLDERS = new Set([
  'samplingparams',
  'extraargs',
  'vllmxargs',
  'extrabody',
  'nvext',
  'customparams',
  'sessionparams',
]);

/** An id that is only an id: those of vLLM's P2P connectors hold the addresses of both sides. */
const PLAIN_ID = /^(?!.*addr_)[A-Za-z0-9._:-]{1,256}$/i;

/**
 * The body of a client's own request without any field of a handoff: those name addresses inside of the deployment, and
 * are for whoever coordinates to set. The same object when there is none of them; values are shared, never copied.
 */
export function clientBody(body: JsonObject): JsonObject {
  return stripped(body, () => undefined);
}

/** What {@link clientBody} takes out of a body, by its field; of fields that are there in several places, each. */
export function handoffPart(body: JsonObject): readonly JsonObject[] {
  // Fields that stand together belong together, as a host and its port.
  const parts = new Map<JsonObject, Record<string, unknown>>();
  stripped(body, (field, value, holder) => {
    const part = parts.get(holder) ?? {};
    part[field] = value;
    parts.set(holder, part);
  });
  return [...parts.values()];
}

type Take = (field: string, value: unknown, holder: JsonObject) => void;

function stripped(holder: JsonObject, take: Take): JsonObject {
  const entries = Object.entries(holder);
  const kept = entries.flatMap(([field, value]): [string, unknown][] => {
    if (!isHandoffField(field, value))
      return [[field, HOLDERS.has(spelled(field)) ? strippedValue(value, take) : value]];
    take(field, value, holder);
    return [];
  });
  const isSame = kept.length === entries.length && kept.every(([, value], index) => value === entries[index]?.[1]);
  return isSame ? holder : Object.fromEntries(kept);
}

/** A holder may also be a list of holders: SGLang takes one `sampling_params` for each prompt. */
function strippedValue(value: unknown, take: Take): unknown {
  if (isJsonObject(value)) return stripped(value, take);
  if (!Array.isArray(value)) return value;
  const inner = value.map((item: unknown) => strippedValue(item, take));
  return inner.every((item, index) => item === value[index]) ? value : inner;
}

function isHandoffField(field: string, value: unknown): boolean {
  const name = spelled(field);
  if (name === 'requestid') return typeof value === 'string' && !PLAIN_ID.test(value);
  return FIELDS.has(name) || PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** One spelling for `kv_transfer_params`, `kvTransferParams` and `KV-Transfer-Params`. */
function spelled(field: string): string {
  return field.replace(/[^a-zA-Z0-9]/g, '').toLowerCase();
}
