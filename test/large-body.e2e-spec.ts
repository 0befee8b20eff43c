import { afterEach, describe, expect, it } from '@jest/globals';
import { CountingUpstream } from './support/large-body/counting-upstream.js';
import { PeakMemory, tellsMemory } from './support/large-body/peak-memory.js';
import { TokenBody } from './support/large-body/token-body.js';
import { InstanceProcess } from './support/instance-process.js';

const MIB = 1024 * 1024;
/** The default of `server.bodyLimitBytes`: ten million token ids. */
const LARGEST_BYTES = 64 * MIB;
const GENERATE = '/inference/v1/generate';

const upstreams: CountingUpstream[] = [];
let instance: InstanceProcess | undefined;

async function upstream(): Promise<CountingUpstream> {
  const started = await CountingUpstream.start();
  upstreams.push(started);
  return started;
}

afterEach(async () => {
  await instance?.stop();
  await Promise.all(upstreams.splice(0).map((server) => server.close()));
});

/**
 * Sends the largest body and returns by how much the memory of the instance rose.
 *
 * That token ids are parsed at most once needs no counter. They are not parsed at all: their text arrives at the
 * upstream with the white space that no number keeps, and ten million numbers with the text they are made of would
 * not fit into the memory that is measured here.
 */
async function riseOf(target: InstanceProcess, body: TokenBody): Promise<number> {
  // What a process needs once, compiled code for one, is no part of the cost of a body.
  const warmUp = await new TokenBody(2 * MIB, { sampling_params: { max_tokens: 2 } }).post(target.url + GENERATE);
  expect(warmUp).toEqual({ status: 200, text: expect.any(String) });
  for (const { requests } of upstreams) requests.length = 0;

  const memory = new PeakMemory(target.pid);
  const answer = await body.post(target.url + GENERATE);
  const rise = memory.stop();
  expect(answer).toEqual({ status: 200, text: expect.any(String) });
  return rise;
}

function report(what: string, rise: number): void {
  const times = (rise / LARGEST_BYTES).toFixed(2);
  process.stdout.write(`    ${what}: a body of 64 MiB took ${Math.round(rise / MIB)} MiB (${times} times its size)\n`);
}

(tellsMemory ? describe : describe.skip)('A generate body of 64 MiB', () => {
  it('passes an instance before an engine server in less than three times its size', async () => {
    const engine = await upstream();
    instance = await InstanceProcess.start({ BATON_ENGINE_KIND: 'http', BATON_ENGINE_URL: engine.url });
    const body = new TokenBody(LARGEST_BYTES, { sampling_params: { max_tokens: 2 }, custom: 'ä' });

    const rise = await riseOf(instance, body);
    report('one leg', rise);

    expect(engine.requests).toEqual([
      {
        bytes: LARGEST_BYTES,
        tokenDigest: body.tokenDigest,
        rest: { token_ids: null, sampling_params: { max_tokens: 2 }, custom: 'ä' },
      },
    ]);
    expect(rise).toBeLessThan(3 * LARGEST_BYTES);
  });

  it('passes a coordinator, both legs from the same bytes, in less than three times its size', async () => {
    const [prefiller, decoder] = [await upstream(), await upstream()];
    instance = await InstanceProcess.start({
      BATON_ENGINE_KIND: 'none',
      BATON_COORDINATION_CONNECTOR: 'shared-storage',
      BATON_COORDINATION_PREFILL_ENDPOINTS: prefiller.url,
      BATON_COORDINATION_DECODE_ENDPOINTS: decoder.url,
    });
    const body = new TokenBody(LARGEST_BYTES, { sampling_params: { max_tokens: 2 }, custom: 'ä' });

    const rise = await riseOf(instance, body);
    report('two legs', rise);

    const { tokenDigest } = body;
    expect(prefiller.requests).toMatchObject([
      { tokenDigest, rest: { sampling_params: { max_tokens: 1 }, custom: 'ä' } },
    ]);
    expect(decoder.requests).toMatchObject([
      { tokenDigest, rest: { sampling_params: { max_tokens: 2 }, custom: 'ä' } },
    ]);
    expect(rise).toBeLessThan(3 * LARGEST_BYTES);
  });
});
