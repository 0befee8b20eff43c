import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { inferenceRequest, type JsonObject, type ResponsePart } from '@baton/inference';
import { lastValueFrom } from 'rxjs';

/** More than a chunk, and more than one in a sequence that knows the first. */
const PROMPT = Array.from({ length: 200 }, (_, index) => index % 50);
const STATE = Buffer.from('the KV of a prompt');

/** Calls into llama.cpp, in their order; the one with the number `stopAt` waits for `go`. */
let calls: string[];
let stopAt: number;
let go: () => void;
let stopped: (call: string) => void;
async function call(name: string): Promise<void> {
  calls.push(name);
  if (calls.length !== stopAt) return;
  const gone = new Promise<void>((resolve) => (go = resolve));
  stopped(name);
  await gone;
}

/** A sequence that computes nothing and remembers what was evaluated in it. */
class FakeSequence {
  readonly _sequenceId = 0;
  readonly needsCheckpoints = false;
  contextTokens: number[] = [];

  get nextTokenIndex(): number {
    return this.contextTokens.length;
  }
  async eraseContextTokenRanges([range]: { start: number }[]): Promise<void> {
    await call('erase');
    this.contextTokens.length = range!.start;
  }
  async evaluateWithoutGeneratingNewTokens(tokens: number[]): Promise<void> {
    await call('evaluate');
    this.contextTokens.push(...tokens);
  }
  async *evaluateWithMetadata([token]: [number]): AsyncGenerator<{ token: number }> {
    for (let next = token; ; next += 1) {
      await call('sample');
      this.contextTokens.push(next);
      yield { token: 7 };
    }
  }
  async saveStateToFile(file: string): Promise<{ fileSize: number }> {
    await call('save');
    await writeFile(file, STATE);
    return { fileSize: STATE.length };
  }
  async loadStateFromFile(): Promise<void> {
    await call('load');
    this.contextTokens = PROMPT.slice(0, -1);
  }
  async dispose(): Promise<void> {}
}

jest.unstable_mockModule('./llama/llama-runtime.js', () => ({
  loadLlama: async () => ({
    context: { contextSize: 1_024, disposed: false, getSequence: () => new FakeSequence() },
    vocabulary: { size: 64, beginText: '', endText: '', endIds: [], isEnd: () => false },
    modelName: 'fake',
    created: 0,
    fingerprint: 'f'.repeat(64),
    tokenBias: () => undefined,
    dispose: async () => undefined,
  }),
}));
const { EmbeddedEngine } = await import('./embedded-engine.js');
type Engine = InstanceType<typeof EmbeddedEngine>;

let parent: string;
let engines: Engine[];
beforeEach(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'leaving-'));
  engines = [];
  calls = [];
  stopAt = Infinity;
});
afterEach(async () => {
  await Promise.all(engines.map((engine) => engine.stop()));
  await rm(parent, { recursive: true });
});

async function startEngine(options: { maxKeptBytes?: number; stallTimeoutMs?: number } = {}): Promise<Engine> {
  const { maxKeptBytes = 1_000_000, stallTimeoutMs = 30_000 } = options;
  const kv = { directory: parent, peers: ['127.0.0.1:*'], access: { allowsKeyless: true }, maxKeptBytes };
  const engine = new EmbeddedEngine({ sequences: 1, stallTimeoutMs, kv });
  engines.push(engine);
  await engine.start();
  return engine;
}

const bodyOf = (more: JsonObject = {}): JsonObject => ({
  token_ids: PROMPT,
  sampling_params: { max_tokens: 3 },
  ...more,
});
const prefill = (deadlineMs?: number) =>
  inferenceRequest('generate', bodyOf({ kv_transfer_params: { do_remote_decode: true } }), { deadlineMs });
const decode = (params: unknown) =>
  inferenceRequest('generate', bodyOf(params === undefined ? {} : { kv_transfer_params: params as JsonObject }));
const paramsOf = (part: ResponsePart): unknown => {
  if (part.kind !== 'json') throw new Error(`A part of kind ${part.kind} came.`);
  return part.body['kv_transfer_params'];
};
const handOver = async (engine: Engine): Promise<unknown> => paramsOf(await lastValueFrom(engine.run(prefill())));

function gauges(engine: Engine): Record<string, number> {
  const held = engine.metrics().filter(({ type, name }) => type === 'gauge' && name !== 'engine_sequences');
  const busy = engine.metrics().find(({ name }) => name === 'engine_sequences')?.samples[0]?.value ?? NaN;
  return { ...Object.fromEntries(held.map(({ name, samples }) => [name, samples[0]?.value ?? NaN])), busy };
}
const NOTHING = { engine_waiting_requests: 0, handoffs_open: 0, engine_temp_files: 0, busy: 0 };

async function until(holds: () => boolean): Promise<void> {
  for (let waits = 0; !holds(); waits += 1) {
    if (waits > 500) throw new Error('It never came true.');
    await sleep(5);
  }
}
const quiet = (engine: Engine): Promise<void> =>
  until(() => JSON.stringify(gauges(engine)) === JSON.stringify({ ...gauges(engine), ...NOTHING }));

/** Files with states below the engines' directories. */
const files = async (): Promise<string[]> =>
  (await readdir(parent, { recursive: true })).filter((name) => name.split(path.sep).length > 2);

describe('a client that leaves at any await', () => {
  /** What runs, after what has been prepared; the number of its calls into llama.cpp is found by a run in peace. */
  const cases = [
    { name: 'of a prefill', prepared: async () => undefined, request: () => prefill() },
    { name: 'of a whole request', prepared: async () => undefined, request: decode },
    { name: 'of a decode leg with a handoff of its own engine', prepared: handOver, request: decode },
    {
      name: 'of a decode leg with a handoff of another engine',
      prepared: async () => handOver(await startEngine()),
      request: decode,
    },
  ];

  it.each(cases)('$name leaves nothing', async ({ prepared, request }) => {
    const peaceful = await startEngine();
    const params = await prepared(peaceful);
    calls = [];
    const last = await lastValueFrom(peaceful.run(request(params)));
    expect(last.kind).toBe('json');
    const inPeace = calls.length;
    expect(inPeace).toBeGreaterThan(1);
    await peaceful.stop();

    for (let at = 1; at <= inPeace; at += 1) {
      const engine = await startEngine();
      stopAt = Infinity;
      const own = await prepared(engine);
      const answered = jest.fn();
      calls = [];
      stopAt = at;
      const reached = new Promise((resolve) => (stopped = resolve));
      const running = engine.run(request(own)).subscribe({ next: answered, error: answered });
      await reached;
      running.unsubscribe();
      running.unsubscribe();
      // An evaluation cannot be interrupted: its sequence is busy until it ends.
      expect(gauges(engine)).toMatchObject({ busy: 1, engine_waiting_requests: 0 });
      go();
      await quiet(engine);
      expect(answered).not.toHaveBeenCalled();
      // And nothing is broken: the next one is answered.
      stopAt = Infinity;
      expect((await lastValueFrom(engine.run(decode(undefined)))).kind).toBe('json');
      await Promise.all(engines.map((each) => each.stop()));
      expect(await files()).toEqual([]);
    }
  });

  it('of the transfer, the digest or the queue leaves nothing, whenever it is', async () => {
    const engine = await startEngine();
    const others = await startEngine();
    for (let turns = 0; turns < 40; turns += 1) {
      const params = await handOver(others);
      for (const request of [decode(params), prefill(), decode(undefined)]) {
        const running = engine.run(request).subscribe({ error: () => undefined });
        for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
        running.unsubscribe();
      }
      // What was not pulled is its owner's, who is told by the coordinator.
      const { remote_port: port, remote_request_id: id } = params as Record<string, unknown>;
      await fetch(`http://127.0.0.1:${String(port)}/kv/v1/handoffs/${String(id)}`, { method: 'DELETE' });
    }
    // A prefill that answered before the turn came has handed over: nobody is told, and its deadline frees it.
    await until(() => gauges(engine)['busy'] === 0);
    // A file goes a moment after what it was for.
    await until(() => gauges(engine)['engine_temp_files'] === gauges(engine)['handoffs_open']);
    await quiet(others);
  });
});

describe('the deadline of a request', () => {
  it('refuses what comes after it, and computes nothing', async () => {
    const engine = await startEngine();
    const late = lastValueFrom(engine.run(prefill(performance.now() - 1)));
    await expect(late).rejects.toMatchObject({ status: 504, code: 'deadline_exceeded' });
    expect([calls, gauges(engine)]).toEqual([[], NOTHING]);
  });

  it('ends an evaluation that hangs, and one that waits behind it; the engine says that it is not ready', async () => {
    const engine = await startEngine({ stallTimeoutMs: 20 });
    stopAt = 1;
    stopped = () => undefined;
    const start = performance.now();
    const both = [1, 2].map(() => lastValueFrom(engine.run(prefill(start + 60))));
    expect(gauges(engine)).toMatchObject({ engine_waiting_requests: 1, busy: 1 });
    for (const each of await Promise.allSettled(both)) {
      expect(each).toMatchObject({ status: 'rejected', reason: { status: 504, code: 'deadline_exceeded' } });
    }
    expect(performance.now() - start).toBeGreaterThanOrEqual(59);
    expect(gauges(engine)).toMatchObject({ engine_waiting_requests: 0, busy: 1 });
    expect(await engine.health()).toMatchObject({ ready: false });
    go();
    await quiet(engine);
    expect(await engine.health()).toEqual({ ready: true });
  });

  it('leaves nothing of itself behind when the answer is in time', async () => {
    const engine = await startEngine();
    const clear = jest.spyOn(globalThis, 'clearTimeout');
    const set = jest.spyOn(globalThis, 'setTimeout');
    await lastValueFrom(engine.run(inferenceRequest('generate', bodyOf(), { deadlineMs: performance.now() + 98_765 })));
    const timer = set.mock.results[set.mock.calls.findIndex(([, ms]) => (ms ?? 0) > 90_000)]?.value;
    expect(timer).toBeDefined();
    expect(clear.mock.calls.map(([cleared]): unknown => cleared)).toContain(timer);
    jest.restoreAllMocks();
  });
});

describe('a handoff', () => {
  it('says how long it is kept', async () => {
    expect(await handOver(await startEngine())).toMatchObject({ lease_ms: 30_000 });
  });

  it('is refused with 503 and Retry-After while there is no room, and nothing is left of it', async () => {
    const engine = await startEngine({ maxKeptBytes: STATE.length + 1 });
    const first = await handOver(engine);
    await expect(handOver(engine)).rejects.toMatchObject({ status: 503, code: 'kv_store_full', retryAfterSeconds: 1 });
    expect(gauges(engine)).toMatchObject({ handoffs_open: 1, busy: 0 });
    await until(() => gauges(engine)['engine_temp_files'] === 1);
    await lastValueFrom(engine.run(decode(first)));
    await quiet(engine);
  });
});
