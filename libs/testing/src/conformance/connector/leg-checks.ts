import { isDeepStrictEqual } from 'node:util';
import type { HandoffDescriptor } from '@baton/coordination';
import { InferenceError, isJsonObject, type InferenceRequest, type JsonObject } from '@baton/inference';
import { must, saidBy } from '../check-failure.js';
import type { Check } from '../run-checks.js';
import { Untouched } from '../untouched.js';
import type { ConnectorBench, ConnectorChecking } from './connector-bench.js';
import { mustBeWellFormed } from './contract-check.js';

const UNKNOWN = ['x_vendor', 'x_vendor_limit'];
/** Fields of D's leg that are P's to answer. */
const OF_PREFILL = ['echo', 'prompt_logprobs'];
const FOREIGN: JsonObject = {
  choices: [{ index: 0, text: 'One', finish_reason: 'length' }],
  kv_transfer_params: {
    kv_connector: 'of-somebody-else',
    do_remote_prefill: true,
    do_remote_decode: false,
    remote_engine_id: 'foreign-engine',
    remote_request_id: 'foreign-request',
    remote_block_ids: [[7]],
  },
};
const MISMATCH = ['connector_mismatch', 'bad_upstream_answer'];

/** What must be so of the legs that a connector makes. */
export const LEG_CHECKS: readonly Check<ConnectorChecking>[] = [
  {
    name: 'has a contract that can be carried out',
    run: (checking) =>
      checking.once(async ({ connector }) => {
        mustBeWellFormed(connector.contract);
        must(isDeepStrictEqual(connector.contract, connector.contract), 'Its contract changes.');
      }),
  },
  {
    name: 'agrees on one thing, and only when somebody subscribes',
    run: (checking) =>
      checking.each(async (bench, request) => {
        const calls = callsOf(bench);
        bench.connector.rendezvous?.(request, bench.sites);
        await bench.time.advance(1_000);
        must(callsOf(bench) === calls, 'rendezvous sent a call before anybody subscribed.');
        must(isJsonObject(await bench.agree(request)), 'What was agreed on is no JSON object.');
      }),
  },
  {
    name: "leaves the client's request untouched",
    run: (checking) =>
      checking.each(async (bench, request) => {
        for (const freezes of [false, true]) {
          const copy = { ...request, body: structuredClone(request.body) };
          const untouched = new Untouched(copy);
          if (freezes) untouched.freeze();
          const { agreed, handoff, prefill } = await bench.handOver(copy);
          for (const descriptor of [handoff, undefined]) {
            bench.connector.decodeLeg(copy, descriptor);
            bench.connector.rescueLeg?.(copy, descriptor);
          }
          bench.connector.prefillLeg(copy, agreed);
          bench.connector.shareOf?.(copy, bench.prefillAnswer(prefill));
          must(untouched.edit === undefined, `The client's request was edited: ${untouched.edit}.`);
        }
      }),
  },
  {
    name: 'makes legs of the same request',
    run: (checking) =>
      eachLeg(checking, async (name, leg, request) => {
        const { isLeg, key, api, caller, valve, deadlineMs, id, stream, body } = leg;
        must(isLeg, `The ${name} leg is not marked as a leg.`);
        must(id !== request.id, `The ${name} leg has the client's own id.`);
        must(key === request.key && api === request.api, `The ${name} leg is of another request.`);
        must(caller === request.caller && valve === request.valve, `The ${name} leg has another caller or valve.`);
        must(deadlineMs === request.deadlineMs, `The ${name} leg has another deadline.`);
        must(
          stream === (body['stream'] === true),
          `The ${name} leg says stream ${stream}, and its body ${String(body['stream'])}.`,
        );
        must(
          name === 'decode' ? stream === request.stream : !stream,
          `The ${name} leg ${stream ? 'is' : 'is not'} streamed.`,
        );
      }),
  },
  {
    name: 'keeps fields that nobody knows, and integers beyond 2^53, in both legs',
    run: (checking) =>
      eachLeg(checking, async (name, leg, request) => {
        for (const [sent, made] of pairs(request.body, leg.body)) {
          for (const field of [...UNKNOWN, 'seed']) {
            if (!Object.hasOwn(sent, field)) continue;
            must(isDeepStrictEqual(made[field], sent[field]), `The ${name} leg has lost or changed ${field}.`);
          }
        }
      }),
  },
  {
    name: 'gives D what the client asked for',
    run: (checking) =>
      eachLeg(checking, async (name, leg, request) => {
        if (name !== 'decode') return;
        const edits = [...OF_PREFILL, ...UNKNOWN, 'sampling_params', ...(checking.options.decodeEdits ?? [])];
        for (const [sent, made] of pairs(request.body, leg.body)) {
          for (const [field, value] of Object.entries(sent)) {
            if (edits.includes(field)) continue;
            must(isDeepStrictEqual(made[field], value), `The decode leg has ${field} otherwise than the client.`);
          }
        }
      }),
  },
  {
    name: 'reads what P has left',
    run: (checking) =>
      checking.each(async (bench, request) => {
        const { params, leaseMs } = (await bench.handOver(request)).handoff;
        must(isJsonObject(params), 'The params of its handoff are no JSON object.');
        must(leaseMs === undefined || leaseMs > 0, `The lease of its handoff is ${String(leaseMs)} ms.`);
      }),
  },
  {
    name: 'refuses the answer of another protocol',
    run: async (checking) => {
      const notes: string[] = [];
      await checking.once(async ({ connector, options, isConcurrent }) => {
        const isRefused = !isConcurrent && refuses(() => connector.handoffOf(options.foreignAnswer ?? FOREIGN, {}));
        if (!isRefused) notes.push("It does not read P's answers.");
      });
      return notes[0];
    },
  },
];

/** @returns false for a handoff that has nothing of the answer. @throws CheckFailure for one that may. */
function refuses(read: () => HandoffDescriptor | undefined): boolean {
  let handoff: HandoffDescriptor | undefined;
  try {
    handoff = read();
  } catch (error) {
    const isMismatch = error instanceof InferenceError && error.status === 502 && MISMATCH.includes(String(error.code));
    must(isMismatch, `It refused it with ${saidBy(error)}, and not with a 502 connector_mismatch.`);
    return true;
  }
  const isUnread = handoff !== undefined && Object.keys({ ...handoff.params, ...handoff.notes }).length === 0;
  must(isUnread, 'handoffOf took it: it has to throw a ConnectorMismatchError.');
  return false;
}

async function eachLeg(
  checking: ConnectorChecking,
  look: (name: 'prefill' | 'decode', leg: InferenceRequest, request: InferenceRequest) => Promise<void>,
): Promise<void> {
  await checking.each(async (bench, request) => {
    const { prefill, handoff } = await bench.handOver(request);
    await look('prefill', prefill, request);
    for (const descriptor of [handoff, undefined])
      await look('decode', bench.connector.decodeLeg(request, descriptor), request);
  });
}

/** The bodies, and what they hold for limits. */
function pairs(sent: JsonObject, made: JsonObject): readonly (readonly [JsonObject, JsonObject])[] {
  const [inner, innerMade] = [sent['sampling_params'], made['sampling_params']];
  return isJsonObject(inner)
    ? [
        [sent, made],
        [inner, isJsonObject(innerMade) ? innerMade : {}],
      ]
    : [[sent, made]];
}

const callsOf = ({ host }: ConnectorBench): number => host.clients.reduce((sum, { calls }) => sum + calls.length, 0);
