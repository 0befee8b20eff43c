import { afterAll, beforeAll } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { RawPost } from '../support/raw-client.js';
import { inParallel } from './leaving/visit.js';
import { faultCases, type FaultCase, type Trial } from './support/fault-case.js';
import { assertQuiet, baselineOf } from './support/quiet.js';
import { Client, completion, recordsOf, rightAnswer } from './transport/client.js';
import { startRig, type Rig } from './transport/rig.js';
import { demand, movedSince, snapshotOf } from './transport/counts.js';

/** A prompt of some 40 tokens: 8 ms of prefill, then 2 ms for each token. */
const LATENCIES = { 'prefill-us-per-token': 200, 'decode-us-per-token': 2_000, 'kv-lease-ms': 1_500 };
const AT_ONCE = 8;
/** Of an answer that nobody waits for: 200 ms. */
const LEFT_TOKENS = 100;
/**
 * Of one that is not streamed, 3 s: nothing but its end would say that D has the KV, so the plan of the connector lets D go on
 * for 2 s, and closes it then.
 */
const LEFT_WHOLE_TOKENS = 1_500;
/** How long D may go on when the client has gone: for those 2 s, and some time to notice. */
const STOPS_WITHIN_MS = { streamed: 1_000, whole: 2_800 };
const PATH = '/v1/completions';
const promptOf = (index: number): string => `Story ${index}: a fox and a silver key.`;

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({ flags: LATENCIES });
});
afterAll(() => rig.stop());

/** Of the bodies before which this much space stands, most are small. */
const PADDINGS = [0, 0, 0, 0, 0, 1, 1_000, 20_000, 65_536, 1_048_000];

const bodiesAndResets: FaultCase = {
  id: 'R5',
  title: 'a POST whose body was read is not taken for a client that has gone; a client that has gone is seen',
  runs: { scaled: 20, full: 1_000 },
  run: async (trial) => {
    const { runs, random } = trial;
    const { instance, prefill, decode, watched } = rig;
    await Promise.all([prefill.forget(), decode.forget()]);
    const baseline = await baselineOf(watched);
    const before = await snapshotOf(instance);
    const client = new Client(instance.url, { connections: AT_ONCE });
    const right = await Promise.all(Array.from({ length: 20 }, (_, index) => rightAnswer(decode, promptOf(index))));
    let valid = 0;
    await inParallel(runs * 5, AT_ONCE, async (index) => {
      if (index % 10 === 9) {
        const { status } = await client.post('{}');
        if (status !== 400) trial.failed(`{} was answered with ${status}`);
        return;
      }
      valid += 1;
      const [stream, padding] = [random.next() < 0.7, random.pick(PADDINGS)];
      const { status, said } = await client.complete(promptOf(index % 20), { stream, padding });
      if (status !== 200 || said !== right[index % 20]) {
        trial.failed(`normal request ${index} (${padding} bytes more) was answered with ${status}: ${said}`);
      }
    });
    await client.close();
    let streamed = 0;
    const leftAtMs = new Map<unknown, number>();
    await inParallel(runs, AT_ONCE, async (index) => {
      const stream = index % 2 === 0;
      const tokens = stream ? LEFT_TOKENS : LEFT_WHOLE_TOKENS;
      const post = await RawPost.send(instance.url, PATH, completion(promptOf(index), tokens, stream));
      if (stream) await post.eventsReach(1 + random.below(5));
      // Some leave while P reads the prompt, some when D has been computing for a while.
      else await sleep(index % 4 === 1 ? random.between(0, 40) : random.between(100, 400));
      if (post.socket.destroyed || post.received.includes('finish_reason":"length')) {
        return trial.failed('the answer came before the client could leave');
      }
      post.leave('RST');
      leftAtMs.set(promptOf(index), Date.now());
      trial.injected();
      streamed += stream ? 1 : 0;
    });
    await assertQuiet(trial, baseline, { withinMs: 6_000, idleConnections: AT_ONCE * 2 });
    const moved = movedSince(before, await snapshotOf(instance));
    demand(trial, moved, { 'stream_end complete': valid, 'stream_end client_gone': runs });
    await checkStopped(trial, decode, streamed, leftAtMs);
  },
};

/** What D was computing for those who left, it has stopped, in the time that the plan of the connector gives. */
async function checkStopped(
  trial: Trial,
  decode: Rig['decode'],
  streamed: number,
  leftAtMs: ReadonlyMap<unknown, number>,
): Promise<void> {
  const kinds = { streamed: LEFT_TOKENS, whole: LEFT_WHOLE_TOKENS } as const;
  const records = await recordsOf(decode);
  for (const kind of ['streamed', 'whole'] as const) {
    const left = records.filter(({ body }) => body['max_tokens'] === kinds[kind]);
    const computed = left.filter(({ outcome }) => outcome !== 'aborted').length;
    if (computed > 0) trial.failed(`D computed ${computed} of ${left.length} answers for nobody (${kind})`);
    if (kind === 'streamed' && left.length < streamed) {
      trial.failed(`${streamed} streams were left, and D knows of ${left.length}`);
    }
    if (left.length === 0) trial.failed(`nobody left while D computed an answer (${kind})`);
    for (const { body, leftAtMs: closedAtMs = Infinity } of left) {
      const wentOnMs = closedAtMs - (leftAtMs.get(body['prompt']) ?? 0);
      trial.worst(`D went on (${kind})`, wentOnMs, 'ms');
      if (wentOnMs > STOPS_WITHIN_MS[kind]) trial.failed(`D went on for ${wentOnMs} ms for nobody (${kind})`);
    }
  }
}

const halfClose: FaultCase = {
  id: 'R6',
  title: 'a client that closes its side after the request has gone',
  runs: { scaled: 16, full: 200 },
  run: async (trial) => {
    const { instance, watched } = rig;
    const baseline = await baselineOf(watched);
    const before = await snapshotOf(instance);
    await inParallel(trial.runs, AT_ONCE, async (index) => {
      const post = await RawPost.send(instance.url, PATH, completion(promptOf(index), LEFT_TOKENS));
      if (index % 2 === 1) await post.eventsReach(2);
      post.leave('FIN');
      trial.injected();
      const start = performance.now();
      await Promise.race([post.closed(), sleep(2_000, undefined, { ref: false })]);
      trial.worst('closed after the FIN', performance.now() - start, 'ms');
      if (!post.socket.destroyed) trial.failed('the server has kept a connection whose client has gone');
      if (post.received.includes('[DONE]')) trial.failed('an answer was sent to the end');
      post.leave('RST');
    });
    await assertQuiet(trial, baseline, { withinMs: 4_000, idleConnections: AT_ONCE * 2 });
    demand(trial, movedSince(before, await snapshotOf(instance)), { 'stream_end client_gone': trial.runs });
  },
};

/** How an answer ends is decided once, whoever comes first. */
const cancelVersusFinish: FaultCase = {
  id: 'R18',
  title: 'a client that leaves around the last token: one end, one settled handoff',
  runs: { scaled: 90, full: 6_000 },
  run: async (trial) => {
    const { runs, random } = trial;
    const { instance, prefill, decode, watched } = rig;
    const last = (await probe(instance.url)).events;
    const baseline = await baselineOf(watched);
    const before = await snapshotOf(instance);
    await Promise.all([prefill.forget(), decode.forget()]);
    await inParallel(runs, AT_ONCE, async (index) => {
      const post = await RawPost.send(instance.url, PATH, completion(promptOf(index), 6));
      await post.eventsReach(last - 3 + (index % 4));
      await spin(random.between(0, 2));
      if (post.socket.destroyed) trial.failed(`the server closed first: ${post.received}`);
      post.leave('RST');
      trial.injected();
    });
    await assertQuiet(trial, baseline, { withinMs: 4_000, idleConnections: AT_ONCE * 2 });
    const moved = movedSince(before, await snapshotOf(instance));
    const [complete, gone] = [moved['stream_end complete'] ?? 0, moved['stream_end client_gone'] ?? 0];
    trial.worst('were complete', complete, '');
    trial.worst('were left', gone, '');
    demand(trial, moved, {
      ...{ 'requests_started completions': runs, 'handoffs_settled taken': runs },
      ...{ 'stream_end complete': complete, 'stream_end client_gone': runs - complete },
    });
    checkOneLegEach(trial, await recordsOf(prefill), 'P', runs);
    checkOneLegEach(trial, await recordsOf(decode), 'D', runs);
  },
};

/** How many events a whole answer of six tokens has. */
async function probe(url: string): Promise<RawPost> {
  const post = await RawPost.send(url, PATH, completion(promptOf(0), 6));
  while (!post.received.includes('[DONE]')) await sleep(2);
  post.leave('RST');
  return post;
}

/** Finer than a timer. */
async function spin(ms: number): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
}

function checkOneLegEach(
  trial: Trial,
  records: readonly { readonly headers: Readonly<Record<string, unknown>> }[],
  side: string,
  runs: number,
): void {
  const ids = new Set(records.map(({ headers }) => headers['x-request-id']));
  if (records.length !== runs) trial.failed(`${side} was sent ${records.length} legs for ${runs} requests`);
  if (ids.size !== records.length) trial.failed(`${side} was sent ${records.length} legs with ${ids.size} ids`);
}

const oneIdForAll: FaultCase = {
  id: 'R19',
  title: 'clients that choose the same request id at the same time: legs of their own, and the right answers',
  runs: { scaled: 100, full: 1_000 },
  run: async (trial) => {
    // A lease that a busy machine does not outlive: a D that reads blocks after it answers from another's, as engines do.
    const own = await startRig({ flags: { ...LATENCIES, 'kv-lease-ms': 30_000 } });
    await checkOneIdForAll(trial, own).finally(() => own.stop());
  },
};

async function checkOneIdForAll(trial: Trial, { instance, prefill, decode, watched }: Rig): Promise<void> {
  const { runs } = trial;
  const right = await Promise.all(Array.from({ length: 100 }, (_, index) => rightAnswer(decode, promptOf(index))));
  if (new Set(right).size < right.length || right.includes('')) trial.failed('the answers are not told apart');
  await Promise.all([prefill.forget(), decode.forget()]);
  const baseline = await baselineOf(watched);
  const client = new Client(instance.url, { connections: 100 });
  await inParallel(runs, 100, async (index) => {
    const headers = { 'x-request-id': 'the-same-for-all' };
    const heard = await client.complete(promptOf(index % 100), { stream: index % 3 > 0, headers });
    trial.injected();
    if (heard.said === right[index % 100]) return;
    const whose = right.indexOf(heard.said);
    const of = whose < 0 ? 'nobody' : `request ${whose}`;
    trial.failed(`${index}: ${heard.status} ${String(heard.code)} ${heard.said} (of ${of}), not ${right[index % 100]}`);
  });
  await client.close();
  const [prefills, decodes] = await Promise.all([recordsOf(prefill), recordsOf(decode)]);
  checkOneLegEach(trial, prefills, 'P', runs);
  checkOneLegEach(trial, decodes, 'D', runs);
  // Each D was told of the KV of its own prompt.
  const prompts = new Map(prefills.map(({ handedOver, body }) => [handedOver?.['remote_request_id'], body['prompt']]));
  for (const { body } of decodes) {
    const { remote_request_id: from } = body['kv_transfer_params'] as { readonly remote_request_id?: unknown };
    if (prompts.get(from) === body['prompt']) continue;
    trial.failed(`D was told of the KV of '${String(prompts.get(from))}' for '${String(body['prompt'])}'`);
  }
  await assertQuiet(trial, baseline, { withinMs: 4_000, idleConnections: 200 });
}

faultCases('The wire to the client', [bodiesAndResets, halfClose, cancelVersusFinish, oneIdForAll]);
