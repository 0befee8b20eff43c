import { isDeepStrictEqual } from 'node:util';
import { KV_TRANSFER_PARAMS, kvTransferParams } from '@baton/inference';
import { ANSWER_TOKENS } from '../../doubles/fake-engines.js';
import type { RecordedLeg } from '../../doubles/leg-log.js';
import { must } from '../check-failure.js';
import type { Check } from '../run-checks.js';
import { Watched } from '../watched.js';
import type { ManagerBench, ManagerChecking } from './manager-bench.js';
import { detailed } from './requests.js';

/** Between two tokens, where there has to be time for something else. */
const SLOWLY_MS = 50;
const FIRST_PART_MS = 10_000;

/** What must be so of answers where nothing goes wrong. */
export const ANSWER_CHECKS: readonly Check<ManagerChecking>[] = [
  {
    name: 'answers completely and in order',
    run: (checking) =>
      checking.eachForm(async (bench, stream) => {
        const watched = bench.subscribe(bench.request(stream));
        await bench.end(watched);
        mustBeWhole(bench, watched);
      }),
  },
  {
    name: 'gives the decode leg what the client asked for',
    run: (checking) =>
      checking.eachForm(async (bench, stream) => {
        const request = detailed(bench.request(stream));
        await bench.end(new Watched(bench.taken(request)));
        const { legs } = bench.host.engines.log;
        const decodes = legs.filter(({ kind }) => kind === 'decode');
        must(decodes.length > 0, `No leg was sent that is no prefill (${bench.under}).`);
        for (const decode of decodes) mustBeAsTheClients(bench, decode, request.body);
      }),
  },
  {
    name: 'answers each of its subscribers by itself',
    run: (checking) =>
      checking.each(async (bench) => {
        // Slow enough that the second one comes and goes while the first is answered.
        bench.host.engines.answer = (_leg, { kind }) => (kind === 'decode' ? { everyMs: SLOWLY_MS } : undefined);
        const answer = bench.taken(bench.request(true));
        const [first, second] = [new Watched(answer), await later(bench, answer)];
        first.leave();
        await bench.end(second);
        mustBeWhole(bench, second);
        const third = new Watched(answer);
        await bench.end(third);
        mustBeWhole(bench, third);
      }),
  },
  {
    name: 'can be left twice',
    run: (checking) =>
      checking.each(async (bench) => {
        const isSlow = { everyMs: SLOWLY_MS };
        bench.host.engines.answer = (_leg, { kind }) => (kind === 'decode' ? isSlow : undefined);
        const watched = bench.subscribe(bench.request(true));
        await bench.time.advanceUntil(() => watched.parts.length > 0, FIRST_PART_MS);
        const released = bench.released.length;
        watched.leave();
        watched.leave();
        const over = bench.subscribe(bench.request(false));
        await bench.end(over);
        over.leave();
        over.leave();
        await bench.time.advance(bench.boundMs('decoding'));
        const twice = bench.released.slice(released).find((id, at, all) => all.indexOf(id) !== at);
        must(twice === undefined, `A handoff was released twice (${bench.under}).`);
        const below = [bench.host.prefill, bench.host.decode]
          .flatMap((pool) => pool.states())
          .find(({ inFlight }) => inFlight < 0);
        must(below === undefined, `The endpoint ${below?.name ?? ''} was given back twice.`);
      }),
  },
];

/** Whoever subscribes to the same answer when its first part is there: legs begin one after the other on this instance. */
async function later({ time, host }: ManagerBench, answer: ReturnType<ManagerBench['taken']>): Promise<Watched> {
  const isAnswered = (): boolean => host.engines.log.legs.some(({ kind, parts }) => kind === 'decode' && parts > 0);
  await time.advanceUntil(isAnswered, FIRST_PART_MS);
  return new Watched(answer);
}

/** @throws CheckFailure when a client has not got all of the answer, in order, and its end. */
export function mustBeWhole({ under }: ManagerBench, { state, error, answer }: Watched): void {
  must(state === 'complete', `The answer failed (${under}): ${error instanceof Error ? error.message : String(error)}`);
  const expected = ANSWER_TOKENS.join('');
  must(answer.text === expected, `The client got "${answer.text}" in place of "${expected}" (${under}).`);
  must(answer.finish === 'stop', `The answer has no finish reason (${under}).`);
  must(answer.isEnded, `The answer has no end mark, or something is behind it (${under}).`);
}

function mustBeAsTheClients({ under }: ManagerBench, { leg, at }: RecordedLeg, body: object): void {
  for (const [field, value] of Object.entries(body)) {
    must(
      isDeepStrictEqual(leg.body[field], value),
      `The decode leg on ${at} has ${field}: ${shown(leg.body[field])}, and the client sent ${shown(value)} (${under}).`,
    );
  }
  const added = Object.keys(leg.body).find((field) => field !== KV_TRANSFER_PARAMS && !Object.hasOwn(body, field));
  must(added === undefined, `The decode leg on ${at} has ${added ?? ''}, which the client did not send (${under}).`);
  must(
    kvTransferParams(leg.body)?.['do_remote_decode'] !== true,
    `The decode leg on ${at} asks for a handoff (${under}).`,
  );
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  return JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? `${item}n` : item));
}
