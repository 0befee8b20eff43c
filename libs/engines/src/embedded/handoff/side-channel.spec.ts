import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { KeyRing } from '@baton/inference';
import { EngineCounters } from '../engine-counters.js';
import { HandoffStore, type Handoff } from './handoff-store.js';
import { PrivateDirectory } from './private-directory.js';
import type { SideChannelAccess } from './side-channel-access.js';
import { SideChannel } from './side-channel.js';
import type { TempFile } from './temp-file.js';

/** More than the buffers of both sockets hold: a reader that stops reading stops the sender. */
const LARGE_BYTES = 16 * 1024 * 1024;
const FINGERPRINT = 'f'.repeat(64);

let parent: string;
let directory: PrivateDirectory;
let counters: EngineCounters;
let store: HandoffStore;
let channel: SideChannel;
let port: number;
let access: SideChannelAccess;
let bounds: { maxConnections?: number; stallTimeoutMs?: number };

function newStore(ttlMs: number): HandoffStore {
  return new HandoffStore({
    ttlMs,
    maxBytes: 2 * LARGE_BYTES,
    readTimeoutMs: 30_000,
    onEnd: (outcome) => (counters.handoffs[outcome] += 1),
  });
}

async function listen(): Promise<void> {
  const options = { host: '127.0.0.1', port: 0, fingerprint: FINGERPRINT, access, ...bounds };
  channel = new SideChannel(store, counters, options);
  port = await channel.start();
}

beforeEach(async () => {
  access = { allowsKeyless: true };
  bounds = {};
  parent = await mkdtemp(path.join(tmpdir(), 'side-channel-'));
  directory = await PrivateDirectory.create(parent);
  counters = new EngineCounters();
  store = newStore(30_000);
  await listen();
});
afterEach(async () => {
  await channel.stop();
  await store.clear();
  await rm(parent, { recursive: true });
});

async function keep(state: Buffer): Promise<Handoff> {
  let file: TempFile | undefined;
  const held = directory.file().subscribe((made) => (file = made));
  if (file === undefined) throw new Error('no file');
  await writeFile(file.path, state);
  const sha256 = createHash('sha256').update(state).digest('hex');
  const handoff = store.keep(file, { bytes: state.length, tokens: 7, sha256 });
  held.unsubscribe();
  return handoff;
}

function ask(method: string, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, method, path, agent: false }, resolve).on('error', reject).end();
  });
}
const askFor = (method: string, id: string): Promise<IncomingMessage> => ask(method, `/kv/v1/handoffs/${id}`);
const bodyOf = async (res: IncomingMessage): Promise<unknown> => JSON.parse((await buffer(res)).toString());

async function until(holds: () => boolean): Promise<void> {
  for (let waits = 0; !holds(); waits += 1) {
    if (waits > 500) throw new Error('It never came true.');
    await sleep(10);
  }
}

/** Files with states that this process has open, where the system tells. */
async function openFiles(): Promise<string[]> {
  const descriptors = '/proc/self/fd';
  if (!existsSync(descriptors)) return [];
  const names = await readdir(descriptors);
  const files = await Promise.all(names.map((name) => readlink(path.join(descriptors, name)).catch(() => '')));
  return files.filter((file) => file.startsWith(directory.path));
}

/** A reader that takes one piece of a large state and then no more, when all buffers between are full. */
async function stuckReader(id: string): Promise<{ res: IncomingMessage; closed: Promise<unknown> }> {
  const res = await askFor('GET', id);
  const closed = new Promise((resolve) => res.on('error', () => undefined).on('close', resolve));
  await new Promise((resolve) => res.once('data', resolve));
  res.pause();
  let sent = -1;
  // A pause of 100 ms in which not a byte is sent is no chance while the sender could send.
  while (sent !== counters.handoffBytes.sent) {
    sent = counters.handoffBytes.sent;
    await sleep(100);
  }
  expect(sent).toBeGreaterThan(0);
  expect(sent).toBeLessThan(LARGE_BYTES);
  expect(store.size).toBe(1);
  return { res, closed };
}

describe('who may use a side channel', () => {
  const sha256 = createHash('sha256').update('the-key-of-a-peer').digest('hex');
  const peers = new KeyRing([{ caller: { trust: 'peer', label: 'p' }, sha256 }]);
  const refusalOfKey = async (allowed: SideChannelAccess, key?: string): Promise<unknown> => {
    await channel.stop();
    await store.clear();
    access = allowed;
    await listen();
    const { id } = await keep(randomBytes(10));
    const headers = new Headers(key === undefined ? [] : [['authorization', `Bearer ${key}`]]);
    for (const method of ['GET', 'DELETE']) {
      const res = await fetch(`http://127.0.0.1:${port}/kv/v1/handoffs/${id}`, { method, headers });
      if (res.status < 300) return res.status;
      expect(store.size).toBe(1);
      if (method === 'DELETE') return [res.status, ((await res.json()) as { error: { code: string } }).error.code];
    }
    return undefined;
  };

  it('is nobody by default', async () => {
    expect(await refusalOfKey({})).toEqual([403, 'peers_only']);
    expect(await refusalOfKey({}, 'the-key-of-a-peer')).toEqual([403, 'peers_only']);
  });

  it.each([undefined, 'another-key', 'the-key-of-a-pee', 'the-key-of-a-peer2'])('is not who brings %s', async (key) => {
    expect(await refusalOfKey({ peers }, key)).toEqual([401, 'invalid_api_key']);
  });

  it('is a peer', async () => {
    expect(await refusalOfKey({ peers }, 'the-key-of-a-peer')).toBe(200);
  });

  it('is everybody without a key where that is allowed, but nobody with a wrong one', async () => {
    expect(await refusalOfKey({ peers, allowsKeyless: true })).toBe(200);
    expect(await refusalOfKey({ peers, allowsKeyless: true }, 'another-key')).toEqual([401, 'invalid_api_key']);
  });
});

describe('SideChannel', () => {
  it('sends a state whole and frees it as taken', async () => {
    const state = randomBytes(300_000);
    const handoff = await keep(state);
    const res = await askFor('GET', handoff.id);
    expect(res.statusCode).toBe(200);
    expect(res.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': '300000',
      'x-baton-kv-sha256': handoff.sha256,
      'x-baton-kv-fingerprint': FINGERPRINT,
      'x-baton-kv-tokens': '7',
    });
    expect((await buffer(res)).equals(state)).toBe(true);
    await until(() => store.size === 0);
    expect(counters.handoffs).toMatchObject({ taken: 1, released: 0 });
    expect(counters.handoffBytes.sent).toBe(300_000);
    await until(() => directory.fileCount === 0);
    expect(existsSync(handoff.file.path)).toBe(false);
    expect((await askFor('GET', handoff.id)).resume().statusCode).toBe(404);
  });

  it('frees what was taken by readers that close the connection with the last byte', async () => {
    const state = randomBytes(300_000);
    for (let taken = 1; taken <= 30; taken += 1) {
      const { id } = await keep(state);
      expect((await buffer(await askFor('GET', id))).equals(state)).toBe(true);
      await until(() => store.size === 0);
      expect(counters.handoffs).toMatchObject({ taken, released: 0 });
    }
  });

  it('keeps a state whose reader breaks off, for the next one', async () => {
    const state = randomBytes(LARGE_BYTES);
    const { id } = await keep(state);
    const { res, closed } = await stuckReader(id);
    res.destroy();
    await closed;
    await sleep(50);
    expect(store.size).toBe(1);
    expect(await openFiles()).toEqual([]);
    expect(counters.handoffBytes.sent).toBeLessThan(LARGE_BYTES);
    expect((await buffer(await askFor('GET', id))).equals(state)).toBe(true);
    await until(() => store.size === 0);
    expect(counters.handoffs).toMatchObject({ taken: 1, released: 0, failed: 0 });
  });

  it('no longer keeps a state past its deadline when its reader broke off', async () => {
    await channel.stop();
    store = newStore(500);
    await listen();
    const { id } = await keep(randomBytes(LARGE_BYTES));
    const { res } = await stuckReader(id);
    res.destroy();
    await until(() => store.size === 0);
    expect(counters.handoffs).toMatchObject({ expired: 1 });
  });

  it('ends a slow reader when the handoff is released, and frees it', async () => {
    const { id, file } = await keep(randomBytes(LARGE_BYTES));
    const { res, closed } = await stuckReader(id);
    let received = 0;
    res.on('data', (chunk: Buffer) => (received += chunk.length));
    res.pause();
    expect((await askFor('DELETE', id)).resume().statusCode).toBe(204);
    res.resume();
    await closed;
    expect(res.complete).toBe(false);
    expect(received).toBeLessThan(LARGE_BYTES);
    expect(counters.handoffs).toMatchObject({ taken: 0, released: 1 });
    expect(store.size).toBe(0);
    await until(() => directory.fileCount === 0);
    expect(existsSync(file.path)).toBe(false);
  });

  it('frees on DELETE, once', async () => {
    const { id } = await keep(Buffer.from('KV'));
    expect((await askFor('DELETE', id)).resume().statusCode).toBe(204);
    const again = await askFor('DELETE', id);
    expect(again.statusCode).toBe(404);
    expect(await bodyOf(again)).toMatchObject({ error: { code: 'handoff_not_found' } });
    expect(counters.handoffs.released).toBe(1);
  });

  it('frees a state that cannot be read as failed', async () => {
    const { id, file } = await keep(Buffer.from('KV'));
    await rm(file.path);
    await expect(askFor('GET', id).then((res) => buffer(res))).rejects.toThrow();
    expect(counters.handoffs).toMatchObject({ failed: 1, taken: 0 });
    expect(store.size).toBe(0);
  });

  it.each(['/kv/v1/handoffs/unknown', '/kv/v1/handoffs/', '/kv/v1/handoffs/..%2fx', '/', '/metrics'])(
    'answers GET %s with 404',
    async (path) => {
      const res = await ask('GET', path);
      expect(res.statusCode).toBe(404);
      expect(await bodyOf(res)).toMatchObject({ error: { code: 'handoff_not_found' } });
    },
  );

  it.each(['POST', 'PUT', 'PATCH'])('answers %s with 405 and keeps the handoff', async (method) => {
    const { id } = await keep(Buffer.from('KV'));
    const res = await askFor(method, id);
    expect(res.statusCode).toBe(405);
    expect(res.headers.allow).toBe('GET, DELETE');
    expect(await bodyOf(res)).toMatchObject({ error: { code: 'method_not_allowed' } });
    expect(store.size).toBe(1);
  });

  /** Restarts it with other bounds. */
  const bound = async (options: typeof bounds): Promise<void> => {
    await channel.stop();
    bounds = options;
    await listen();
  };
  const dial = async (): Promise<{ socket: Socket; closed: Promise<unknown> }> => {
    const socket = connect({ host: '127.0.0.1', port }).on('error', () => undefined);
    const closed = new Promise((resolve) => socket.on('close', resolve)).then(() => performance.now());
    await new Promise((resolve) => socket.once('connect', resolve));
    return { socket, closed };
  };

  it('cuts off a reader that takes nothing, and keeps the state for another until its deadline', async () => {
    await bound({ stallTimeoutMs: 300 });
    const state = randomBytes(LARGE_BYTES);
    const { id } = await keep(state);
    const { res, closed } = await stuckReader(id);
    await until(() => counters.handoffBytes.sent > 0);
    while ((await openFiles()).length > 0) await sleep(10);
    res.resume();
    await closed;
    expect(res.complete).toBe(false);
    expect(store.size).toBe(1);
    expect((await buffer(await askFor('GET', id))).equals(state)).toBe(true);
  });

  it('closes connections that say nothing, or too little', async () => {
    await bound({ stallTimeoutMs: 200 });
    const [silent, slow] = [await dial(), await dial()];
    slow.socket.write('GET /kv/v1/handoffs/x HTTP/1.1\r\nhost: x');
    await Promise.all([silent.closed, slow.closed]);
  });

  it('ends a request that comes byte by byte', async () => {
    const { socket, closed } = await dial();
    const start = performance.now();
    const writing = setInterval(() => socket.write('x'), 100);
    socket.write('GET / HTTP/1.1\r\nx: ');
    await closed;
    clearInterval(writing);
    expect(performance.now() - start).toBeLessThan(8_000);
  }, 15_000);

  it('turns away connections beyond its bound, and takes them again', async () => {
    await bound({ maxConnections: 2 });
    const [first, second] = [await dial(), await dial()];
    await (
      await dial()
    ).closed;
    expect([first.socket.closed, second.socket.closed]).toEqual([false, false]);
    first.socket.destroy();
    const { id } = await keep(Buffer.from('KV'));
    await until(() => first.socket.destroyed);
    await sleep(20);
    expect((await askFor('DELETE', id)).resume().statusCode).toBe(204);
    second.socket.destroy();
  });

  it('cuts the connections that are open when it stops', async () => {
    const { id } = await keep(randomBytes(LARGE_BYTES));
    const { res, closed } = await stuckReader(id);
    await channel.stop();
    res.resume();
    await closed;
    expect(res.complete).toBe(false);
    expect(counters.handoffs.taken).toBe(0);
  });
});
