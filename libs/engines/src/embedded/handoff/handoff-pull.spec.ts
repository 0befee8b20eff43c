import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { firstValueFrom, type Subscription } from 'rxjs';
import { EngineCounters } from '../engine-counters.js';
import { HandoffPull, type HandoffPullOptions, type PulledState } from './handoff-pull.js';
import { HandoffStore } from './handoff-store.js';
import type { HandoffTicket } from './handoff-ticket.js';
import { PrivateDirectory } from './private-directory.js';
import type { TempFile } from './temp-file.js';

const FINGERPRINT = 'f'.repeat(64);
const TOKENS = 11;
const STATE = randomBytes(200_000);
const HEADERS = { 'x-baton-kv-fingerprint': FINGERPRINT };

let parent: string;
let directory: PrivateDirectory;
let counters: EngineCounters;
let store: HandoffStore;
let pulls: HandoffPull[];
let held: Subscription[];
/** The peer, what it answers to a GET, and what it was asked. */
let peer: Server;
let answer: (res: ServerResponse, req: IncomingMessage) => void;
let asked: string[];

beforeEach(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'pull-'));
  directory = await PrivateDirectory.create(parent);
  counters = new EngineCounters();
  store = new HandoffStore({ ttlMs: 30_000, maxBytes: 500_000, readTimeoutMs: 30_000, onEnd: () => undefined });
  pulls = [];
  held = [];
  asked = [];
  answer = (res) => res.writeHead(200, HEADERS).end(STATE);
  peer = createServer((req, res) => {
    asked.push(`${req.method} ${req.url}`);
    if (req.method === 'DELETE') return void res.writeHead(204).end();
    answer(res, req);
  });
  peer.listen(0, '127.0.0.1');
  await once(peer, 'listening');
});
afterEach(async () => {
  jest.restoreAllMocks();
  held.forEach((one) => one.unsubscribe());
  await until(() => directory.fileCount === store.size);
  await Promise.all(pulls.map((one) => one.close()));
  peer.close();
  peer.closeAllConnections();
  await store.clear();
  await rm(parent, { recursive: true });
});

function puller(options: Partial<HandoffPullOptions> = {}): HandoffPull {
  const made = new HandoffPull(
    {
      engineId: 'me',
      fingerprint: FINGERPRINT,
      peers: ['127.0.0.1:*'],
      maxHandoffBytes: 400_000,
      pullTimeoutMs: 5_000,
      ...options,
    },
    store,
    directory,
    counters,
  );
  pulls.push(made);
  return made;
}

function ticket(fields: Partial<HandoffTicket> = {}): HandoffTicket {
  return {
    engineId: 'other',
    handoffId: 'handoff-1',
    host: '127.0.0.1',
    port: (peer.address() as AddressInfo).port,
    tokens: TOKENS,
    expiresAtMs: Date.now() + 30_000,
    bytes: STATE.length,
    sha256: createHash('sha256').update(STATE).digest('hex'),
    fingerprint: FINGERPRINT,
    ...fields,
  };
}

/** Pulls, and holds what came of it until the end of the test. */
function pulled(which = ticket(), pull = puller()): Promise<PulledState> {
  return new Promise((resolve, reject) => {
    held.push(pull.pull(which, TOKENS).subscribe({ next: resolve, error: reject }));
  });
}

function endAll(): void {
  held.splice(0).forEach((one) => one.unsubscribe());
}

async function until(holds: () => boolean): Promise<void> {
  for (let waits = 0; !holds(); waits += 1) {
    if (waits > 500) throw new Error('It never came true.');
    await sleep(10);
  }
}

async function kept(bytes = STATE.length): Promise<string> {
  let file: TempFile | undefined;
  const making = directory.file().subscribe((made) => (file = made));
  if (file === undefined) throw new Error('no file');
  await writeFile(file.path, STATE);
  const { id } = store.keep(file, { bytes, tokens: TOKENS, sha256: 'x' });
  making.unsubscribe();
  return id;
}

const GET = 'GET /kv/v1/handoffs/handoff-1';
const DELETE = 'DELETE /kv/v1/handoffs/handoff-1';

describe('HandoffPull', () => {
  it('brings the whole state, and removes it when it is no longer wanted', async () => {
    const state = await pulled();
    if (state.kind !== 'state') throw new Error(state.reason);
    expect((await readFile(state.file.path)).equals(STATE)).toBe(true);
    expect(counters.handoffBytes.received).toBe(STATE.length);
    expect(asked).toEqual([GET]);
    endAll();
    await until(() => directory.fileCount === 0);
    expect(existsSync(state.file.path)).toBe(false);
  });

  it('does not believe its own clock: a state past its deadline is asked for', async () => {
    expect(await pulled(ticket({ expiresAtMs: Date.now() - 3_600_000 }))).toMatchObject({ kind: 'state' });
  });

  const endless = (res: ServerResponse): void => {
    res.writeHead(200, HEADERS);
    const more = (): void => {
      while (!res.destroyed && res.write(STATE));
    };
    res.on('drain', more);
    more();
  };
  it.each<[string, string, (res: ServerResponse) => void]>([
    ['other bytes', 'damaged', (res) => res.writeHead(200, HEADERS).end(Buffer.alloc(STATE.length))],
    ['too few bytes', 'damaged', (res) => res.writeHead(200, HEADERS).end(STATE.subarray(1))],
    ['too many bytes', 'damaged', (res) => res.writeHead(200, HEADERS).end(Buffer.concat([STATE, STATE]))],
    ['bytes without end', 'damaged', endless],
    ['another fingerprint', 'mismatch', (res) => res.writeHead(200, { 'x-baton-kv-fingerprint': 'x' }).end(STATE)],
    ['no fingerprint', 'mismatch', (res) => res.writeHead(200).end(STATE)],
  ])('has no state when %s come, says %s, and frees it at its owner', async (_what, reason, reply) => {
    answer = reply;
    expect(await pulled()).toEqual({ kind: 'none', reason });
    expect(asked).toEqual([GET, DELETE]);
    expect(counters.handoffBytes.received).toBeLessThanOrEqual(2 * STATE.length);
    await until(() => directory.fileCount === 0);
    expect(await readdir(directory.path)).toEqual([]);
  });

  const cut = (res: ServerResponse): void => {
    res.writeHead(200, { ...HEADERS, 'content-length': STATE.length });
    res.write(STATE.subarray(0, 100_000), () => res.destroy());
  };
  it.each<[string, (res: ServerResponse) => void]>([
    ['a cut connection', cut],
    ['no head', (res) => res.destroy()],
    ['404', (res) => res.writeHead(404).end('{}')],
    ['500', (res) => res.writeHead(500).end('{}')],
    ['206', (res) => res.writeHead(206, HEADERS).end(STATE)],
  ])('has lost the state at %s', async (_what, reply) => {
    answer = reply;
    expect(await pulled()).toEqual({ kind: 'none', reason: 'lost' });
    expect(asked).toEqual([GET]);
    await until(() => directory.fileCount === 0);
  });

  it.each<[string, number, Record<string, string>]>([
    ['lost', 500, {}],
    ['mismatch', 200, {}],
    ['damaged', 200, HEADERS],
  ])('closes the connection of a body that it does not read to its end: %s', async (reason, status, headers) => {
    const closed: unknown[] = [];
    // No byte ever follows: nothing but the reader can end this answer.
    answer = (res) => {
      res.on('close', () => closed.push(true));
      res.writeHead(status, headers).write(Buffer.concat([STATE, STATE]));
    };
    expect(await pulled(ticket({ bytes: 100 }))).toEqual({ kind: 'none', reason });
    await until(() => closed.length === 1);
  });

  it('follows no redirect', async () => {
    answer = (res, req) => {
      if (req.url !== '/elsewhere') return res.writeHead(302, { location: '/elsewhere' }).end();
      return res.writeHead(200, HEADERS).end(STATE);
    };
    expect(await pulled()).toEqual({ kind: 'none', reason: 'lost' });
    expect(asked).toEqual([GET]);
  });

  it.each<[string, (res: ServerResponse) => void]>([
    ['no head', () => undefined],
    ['half a body', (res) => res.writeHead(200, HEADERS).write(STATE.subarray(0, 100_000))],
  ])('waits for a peer that sends %s until the time is up', async (_what, reply) => {
    const closed: unknown[] = [];
    answer = (res) => {
      res.on('close', () => closed.push(true));
      reply(res);
    };
    expect(await pulled(ticket(), puller({ pullTimeoutMs: 150 }))).toEqual({ kind: 'none', reason: 'timeout' });
    await until(() => closed.length === 1 && directory.fileCount === 0);
  });

  it('removes the file and closes the connection when it is unsubscribed in the middle', async () => {
    const closed: unknown[] = [];
    answer = (res) => {
      res.on('close', () => closed.push(true));
      res.writeHead(200, { ...HEADERS, 'content-length': STATE.length }).write(STATE.subarray(0, 100_000));
    };
    void pulled();
    await until(() => counters.handoffBytes.received === 100_000);
    expect(await readdir(directory.path)).toHaveLength(1);
    expect(closed).toEqual([]);
    endAll();
    await until(() => closed.length === 1 && directory.fileCount === 0);
    expect(await readdir(directory.path)).toEqual([]);
    expect(() => store.reserve(500_000)()).not.toThrow();
  });

  it('dials no peer that is not allowed', async () => {
    let dials = 0;
    peer.on('connection', () => (dials += 1));
    const pull = puller({ peers: ['127.0.0.1:1', 'example.org:*'] });
    const refused = { status: 403, code: 'address_not_allowed' };
    await expect(firstValueFrom(pull.pull(ticket(), TOKENS))).rejects.toMatchObject(refused);
    // Not even to free what it could not use.
    await expect(firstValueFrom(pull.pull(ticket({ bytes: 1e12 }), TOKENS))).rejects.toMatchObject(refused);
    expect(() => pull.assertAllowed(ticket())).toThrow(expect.objectContaining(refused));
    await sleep(50);
    expect(dials).toBe(0);
    expect(directory.fileCount).toBe(0);
  });

  it.each<[string, Partial<HandoffTicket>]>([
    ['mismatch', { fingerprint: 'e'.repeat(64) }],
    ['mismatch', { tokens: TOKENS + 1 }],
    ['too_large', { bytes: 400_001 }],
  ])('refuses by the ticket: %s, %j', async (reason, fields) => {
    expect(await pulled(ticket(fields))).toEqual({ kind: 'none', reason });
    expect(asked).toEqual([DELETE]);
  });

  it('takes a state of its own without a transfer', async () => {
    const handoffId = await kept();
    const state = await pulled(ticket({ engineId: 'me', handoffId }), puller({ peers: [] }));
    if (state.kind !== 'state') throw new Error(state.reason);
    expect((await readFile(state.file.path)).equals(STATE)).toBe(true);
    expect(store.size).toBe(0);
    // The file is still there, so its bytes still count.
    expect(() => store.reserve(400_000)).toThrow();
    endAll();
    await until(() => directory.fileCount === 0);
    expect(() => store.reserve(500_000)()).not.toThrow();
    const again = await pulled(ticket({ engineId: 'me', handoffId }));
    expect(again).toEqual({ kind: 'none', reason: 'lost' });
    expect(asked).toEqual([]);
  });

  it('frees a state of its own that it cannot use', async () => {
    const handoffId = await kept();
    const state = await pulled(ticket({ engineId: 'me', handoffId, tokens: 3 }));
    expect(state).toEqual({ kind: 'none', reason: 'mismatch' });
    expect(store.size).toBe(0);
  });

  it('holds all states together to one limit, kept and pulled ones', async () => {
    const pull = puller();
    const first = await pulled(ticket(), pull);
    expect(first.kind).toBe('state');
    expect((await pulled(ticket(), pull)).kind).toBe('state');
    expect(await pulled(ticket(), pull)).toEqual({ kind: 'none', reason: 'too_large' });
    expect(asked).toEqual([GET, GET, DELETE]);
    expect(() => store.assertRoom(100_001)).toThrow(expect.objectContaining({ code: 'kv_store_full' }));
    // Loaded, a file is removed before its request ends.
    if (first.kind === 'state') await first.file.remove();
    await kept(250_000);
    expect(await pulled(ticket(), pull)).toEqual({ kind: 'none', reason: 'too_large' });
    await store.clear();
    expect((await pulled(ticket(), pull)).kind).toBe('state');
  });

  it('counts a pull that is under way against the limit', async () => {
    const pull = puller();
    answer = (res) => res.writeHead(200, HEADERS).flushHeaders();
    void pulled(ticket({ bytes: 400_000 }), pull);
    await until(() => asked.length === 1);
    expect(await pulled(ticket(), pull)).toEqual({ kind: 'none', reason: 'too_large' });
  });

  it.each(['ENOSPC', 'EDQUOT'])('takes %s for a state that is too large', async (code) => {
    const handle = await open(path.join(parent, 'any'), 'w');
    const prototype = Object.getPrototypeOf(handle) as typeof handle;
    await handle.close();
    jest.spyOn(prototype, 'writeFile').mockRejectedValue(Object.assign(new Error('no room'), { code }));
    expect(await pulled()).toEqual({ kind: 'none', reason: 'too_large' });
    expect(asked).toEqual([GET, DELETE]);
    await until(() => directory.fileCount === 0);
    expect(() => store.reserve(500_000)()).not.toThrow();
  });
});
