import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { startEngineDouble, Gate, type EngineDouble } from './support/engine-double.js';
import { eventually } from './support/eventually.js';
import { InstanceProcess } from './support/instance-process.js';
import { RawPost } from './support/raw-client.js';

const MiB = 1024 * 1024;
const REQUEST = { prompt: 'anything', max_tokens: 100_000, stream: true };

/** An instance whose engine and decode instance are one test double: what passes through is Baton's own doing. */
describe('a stream through an instance', () => {
  let double: EngineDouble;
  let instance: InstanceProcess;

  beforeEach(async () => {
    double = await startEngineDouble();
    instance = await InstanceProcess.start({
      BATON_ENGINE_KIND: 'http',
      BATON_ENGINE_URL: double.url,
      BATON_COORDINATION_CONNECTOR: 'embedded',
      BATON_COORDINATION_DECODE_ENDPOINTS: double.url,
      BATON_SERVER_STALL_TIMEOUT_MS: '1500',
    });
  });
  afterEach(async () => {
    await instance.stop();
    await double.close();
  });

  const stream = (body: object = REQUEST): Promise<Response> =>
    fetch(`${instance.url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });

  it('brings tokens one by one: 50 ms between tokens are 50 ms at the client', async () => {
    double.behave({ tokens: 12, intervalMs: 50 });
    const arrivals: number[] = [];
    for await (const chunk of (await stream()).body!) {
      if (Buffer.from(chunk as Uint8Array).length > 0) arrivals.push(performance.now());
    }
    const gaps = arrivals.slice(1).map((at, i) => at - arrivals[i]!);
    // Lumps would be few arrivals, with gaps near zero between those that came together.
    expect(arrivals.length).toBeGreaterThanOrEqual(12);
    expect(gaps.filter((gap) => gap > 25).length).toBeGreaterThanOrEqual(10);
  });

  it('sends the first byte before the second token is made', async () => {
    const gate = new Gate();
    double.behave({ tokens: 3, beforeToken: { index: 1, gate } });
    const reader = (await stream()).body!.getReader();
    const first = (await reader.read()) as { value: Uint8Array };
    expect(Buffer.from(first.value).toString()).toContain('data: {');
    await gate.reached;
    expect(double.requests.find(({ leg }) => leg === 'decode')!.progress.tokens).toBe(1);
    gate.open();
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read())
      rest += Buffer.from(part.value).toString();
    expect(rest).toContain('[DONE]');
  });

  it('a client that never reads: little is buffered, it is cut off after the stall timeout, and the upstream is cancelled', async () => {
    double.behave({ tokens: 1_024, tokenBytes: 64 * 1024 });
    const before = await residentBytes(instance);
    const post = await RawPost.send(instance.url, '/v1/completions', { ...REQUEST, max_tokens: 1_024 });
    post.socket.pause();
    await eventually('the upstream is held back', () => double.paused > 0);
    const decode = double.requests.find(({ leg }) => leg === 'decode')!;

    let settled = -1;
    await eventually('nothing flows any more', async () => {
      const now = decode.progress.bytes;
      const isSettled = now === settled;
      settled = now;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return isSettled;
    });
    const grown = (await residentBytes(instance)) - before;
    const inKernel = await kernelBytes(instance.port, double.port);
    const buffered = decode.progress.bytes - inKernel;
    console.log(
      `64 MiB stream: ${decode.progress.bytes} bytes left the engine, ${inKernel} are in the kernel, RSS +${grown}`,
    );
    expect(decode.progress.bytes).toBeLessThan(32 * MiB);
    expect(buffered).toBeLessThan(MiB);

    await eventually('the upstream is cancelled', () => decode.state === 'aborted', 10_000);
    await eventually('the request is over', async () => (await instance.metric('baton_inflight_requests')) === 0);
    expect(await instance.metric('baton_stream_end_total', { reason: 'client_stalled' })).toBe(1);
    post.socket.resume();
    await post.closed();
    expect(post.received).not.toContain('[DONE]');
  });

  it('a client that never takes a whole answer is cut off too, and counts as in flight until then', async () => {
    double.behave({ tokens: 512, tokenBytes: 64 * 1024 });
    const post = await RawPost.send(instance.url, '/v1/completions', { ...REQUEST, stream: false, max_tokens: 512 });
    post.socket.pause();
    await eventually('the answer is made', () =>
      double.requests.some(({ leg, state }) => leg === 'decode' && state === 'complete'),
    );
    expect(await instance.metric('baton_inflight_requests')).toBe(1);
    await eventually('it is cut off', async () => (await instance.metric('baton_inflight_requests')) === 0, 10_000);
    expect(await instance.metric('baton_stream_end_total', { reason: 'complete' })).toBe(0);
    post.socket.resume();
    await post.closed();
  });

  it('SIGTERM waits until a whole answer has been taken', async () => {
    double.behave({ tokens: 512, tokenBytes: 64 * 1024 });
    const post = await RawPost.send(instance.url, '/v1/completions', { ...REQUEST, stream: false, max_tokens: 512 });
    post.socket.pause();
    await eventually('the answer is made', () =>
      double.requests.some(({ leg, state }) => leg === 'decode' && state === 'complete'),
    );
    const exited = instance.stop('SIGTERM');
    await eventually('it drains', async () => (await fetch(`${instance.url}/health/ready`)).status === 503);
    post.socket.resume();
    expect(await exited).toBe(0);
    await post.closed();
    const [head, body = ''] = post.received.split('\r\n\r\n');
    expect(body.length).toBe(Number(/content-length: (\d+)/i.exec(head ?? '')?.[1]));
    expect(body.length).toBeGreaterThan(512 * 64 * 1024);
  });

  it('a slow client gets every byte', async () => {
    double.behave({ tokens: 200, tokenBytes: 32 * 1024 });
    const post = await RawPost.send(instance.url, '/v1/completions', { ...REQUEST, max_tokens: 200 });
    for (let i = 0; i < 10; i += 1) {
      post.socket.pause();
      await new Promise((resolve) => setTimeout(resolve, 60));
      post.socket.resume();
      await once(post.socket, 'data');
    }
    await eventually('the whole answer', () => post.received.includes('[DONE]'), 10_000);
    expect(post.events).toBeGreaterThanOrEqual(201);
    expect(post.received.length).toBeGreaterThan(200 * 32 * 1024);
    expect(await instance.metric('baton_stream_end_total', { reason: 'complete' })).toBe(1);
  });

  it.each([
    { ending: { kind: 'no_done', afterTokens: 5 } as const, code: 'upstream_truncated' },
    { ending: { kind: 'reset', afterTokens: 5 } as const, code: 'remote_reset' },
  ])('an upstream that ends by $ending.kind: an error event, then the end mark', async ({ ending, code }) => {
    double.behave(({ leg }) => (leg === 'decode' ? { tokens: 50, ending } : {}));
    const text = await (await stream()).text();
    const events = text.split('\n\n').filter(Boolean);
    expect(events.at(-1)).toBe('data: [DONE]');
    expect(events.at(-2)).toContain(`"code":"${code}"`);
    expect(events.length).toBe(7);
    await eventually('nothing is in flight', async () => (await instance.metric('baton_inflight_requests')) === 0);
    expect(double.handoffs.open).toBe(0);
  });

  it('an upstream that ends before its first event: the request is finished here', async () => {
    let decodes = 0;
    double.behave(({ leg }) => {
      if (leg !== 'decode') return {};
      decodes += 1;
      return decodes === 1 ? { ending: { kind: 'no_done', afterTokens: 0 } } : { tokens: 3 };
    });
    const text = await (await stream()).text();
    expect(decodes).toBe(2);
    expect(text.match(/"error"/g)).toBeNull();
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    expect(await instance.metric('baton_local_fallback_total', { reason: 'bad_answer' })).toBe(1);
    expect(double.handoffs.open).toBe(0);
  });

  it('an error event of the upstream reaches the client as it came', async () => {
    double.behave(({ leg }) =>
      leg === 'decode' ? { tokens: 50, ending: { kind: 'error_event', afterTokens: 3 } } : {},
    );
    const text = await (await stream()).text();
    expect(text.match(/"error"/g)).toHaveLength(1);
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  it('a prefill that fails is a true HTTP error, and D is never asked', async () => {
    double.behave({ ending: { kind: 'status', status: 500 } });
    const response = await stream();
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: { code: 'remote_failed' } });
    expect(double.requests.filter(({ leg }) => leg === 'decode')).toHaveLength(0);
  });
});

async function residentBytes(instance: InstanceProcess): Promise<number> {
  return instance.metric('baton_process_resident_memory_bytes');
}

/** Bytes that wait in the kernel's socket buffers between client, instance and double (`/proc/net/tcp`). */
async function kernelBytes(...ports: number[]): Promise<number> {
  const { readFile } = await import('node:fs/promises');
  const hex = ports.map((port) => port.toString(16).toUpperCase().padStart(4, '0'));
  return (await readFile('/proc/net/tcp', 'utf8'))
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, remote]) =>
      hex.some((port) => local?.endsWith(`:${port}`) === true || remote?.endsWith(`:${port}`) === true),
    )
    .reduce(
      (sum, [, , , , queues]) =>
        sum + (queues ?? '0:0').split(':').reduce((all, length) => all + parseInt(length, 16), 0),
      0,
    );
}
