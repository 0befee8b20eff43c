import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { fileURLToPath } from 'node:url';
import type { RequestRecord } from '../../apps/simulator/src/http/request-record.js';
import { startAll } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import type { InstanceProcess } from '../support/instance-process.js';
import { ask, FLOWS, type Answer } from '../support/requests.js';
import { SimulatorProcess } from '../support/simulator-process.js';
import type { AdminClient } from './support/admin-client.js';
import { PluginRig } from './support/rig.js';

const PLUGINS = fileURLToPath(new URL('../../plugins', import.meta.url));
const MANAGER = 'conditional-decode';
const AT_ONCE = ['decode if-available 200'];
const SPLIT = ['decode if-available 412', 'prefill - 200', 'decode - 200'];
/** Their homes depend on the ports of this run: with so many, one instance is the home of all in one of a million runs. */
const SESSIONS = 20;

describe('session-affinity and conditional-decode, in front of two decode instances that cache prompts', () => {
  let rig: PluginRig;
  let decoders: readonly SimulatorProcess[];
  let instance: InstanceProcess;
  let admin: AdminClient;
  /** Prompts are cached for good, so each test has others. */
  let prompts = 0;

  const recordsOf = async (simulator: SimulatorProcess): Promise<readonly RequestRecord[]> =>
    (await simulator.get('requests')) as unknown as readonly RequestRecord[];

  /** The legs of all requests since the last `forget`, in order: where, on which condition, and how they were answered. */
  async function legs(): Promise<readonly string[]> {
    const sides = [['prefill', rig.prefill] as const, ...decoders.map((decoder) => ['decode', decoder] as const)];
    const all = await Promise.all(
      sides.map(async ([side, simulator]) => (await recordsOf(simulator)).map((record) => ({ side, ...record }))),
    );
    return all
      .flat()
      .sort((one, other) => one.atMs - other.atMs)
      .map(({ side, headers, status }) => `${side} ${String(headers['prefer'] ?? '-')} ${status}`);
  }

  /** How many legs each decode instance has got. */
  const loads = (): Promise<readonly number[]> =>
    Promise.all(decoders.map(async (decoder) => (await recordsOf(decoder)).length));

  const forget = (): Promise<unknown> => Promise.all([rig.prefill, ...decoders].map((one) => one.forget()));

  const newPrompt = (): string => `Prompt ${(prompts += 1)}, which is longer than one block of sixteen tokens.`;

  const chat = (prompt: string, session: string, stream = false): Promise<Answer> =>
    ask(instance.url, FLOWS[1]!, FLOWS[1]!.body(prompt, [], 4), { stream, headers: { 'x-session-id': session } });

  async function enable(enabled: boolean): Promise<void> {
    const change = { managers: [{ name: MANAGER, enabled }] };
    expect(await admin.call('PATCH', 'policies', change)).toMatchObject({ status: 200 });
  }

  async function mustBeSettled(): Promise<void> {
    await eventually('Baton owes nothing', async () => (await instance.metrics())('baton_handoffs_open') === 0);
    for (const simulator of [rig.prefill, ...decoders]) {
      await eventually(
        'no KV is held',
        async () => ((await simulator.get('ledger'))['held'] as unknown[]).length === 0,
      );
    }
  }

  beforeAll(async () => {
    rig = await PluginRig.start();
    const decoder = (): Promise<SimulatorProcess> =>
      SimulatorProcess.start({ dialect: 'vllm', kv: 'nixl', 'conditional-decode': true });
    decoders = await startAll([decoder, decoder]);
    ({ instance, admin } = await rig.instance({
      directories: [PLUGINS],
      coordination: {
        picker: 'session-affinity',
        decode: { dialect: 'vllm', endpoints: decoders.map(({ url }) => url) },
      },
    }));
  });
  beforeEach(forget);
  afterAll(async () => {
    await Promise.all(decoders.map((decoder) => decoder.stop()));
    await rig.stop();
  });

  it('are loaded when the instance starts; the manager is not asked before it is enabled', async () => {
    const listed = await admin.plugins();
    expect(listed.map(({ name, status, provides }) => [name, status, ...provides])).toEqual(
      expect.arrayContaining([
        ['@baton-plugins/conditional-decode', 'loaded', 'manager:conditional-decode'],
        ['@baton-plugins/session-affinity', 'loaded', 'picker:session-affinity'],
      ]),
    );
    const { status, headers } = await chat(newPrompt(), 'any');
    expect([status, headers.get('x-baton-manager')]).toEqual([200, 'prefill-remote-decode-remote']);
    expect(await legs()).toEqual(['prefill - 200', 'decode - 200']);
    await mustBeSettled();
  });

  it('sends the requests of a session to the same decode instance, and sessions to both', async () => {
    const homes: number[] = [];
    for (let session = 0; session < SESSIONS; session += 1) {
      await forget();
      for (let turn = 0; turn < 3; turn += 1) await chat(newPrompt(), `session-${session}`);
      const counts = await loads();
      expect([...counts].sort()).toEqual([0, 3]);
      homes.push(counts.indexOf(3));
    }
    expect(new Set(homes).size).toBe(2);
    await mustBeSettled();
  });

  it.each([false, true])(
    'splits a prompt that is not cached, and decodes it at once the next time (stream: %s)',
    async (stream) => {
      await enable(true);
      const prompt = newPrompt();
      const first = await chat(prompt, 'a', stream);
      expect([first.status, first.headers.get('x-baton-manager')]).toEqual([200, MANAGER]);
      expect(await legs()).toEqual(SPLIT);
      await forget();
      const second = await chat(prompt, 'a', stream);
      expect([second.status, second.headers.get('x-baton-manager')]).toEqual([200, MANAGER]);
      expect(await legs()).toEqual(AT_ONCE);
      expect(second.said).toBe(first.said);
      expect(second.said).not.toBe('');
      await mustBeSettled();
    },
  );

  it.each(['nested', 'text', 'empty'])('understands a 412 whose body is %s', async (shape) => {
    await enable(true);
    const refuses = { kind: 'http_status', status: 412, shape, where: 'none' };
    await Promise.all(decoders.map((decoder) => decoder.misbehave([refuses])));
    const { status } = await chat(newPrompt(), 'a');
    await Promise.all(decoders.map((decoder) => decoder.misbehave([])));
    expect(status).toBe(200);
    expect(await legs()).toEqual(SPLIT);
    await mustBeSettled();
  });

  it('decodes nothing at once when it is switched off again', async () => {
    await enable(true);
    const prompt = newPrompt();
    await chat(prompt, 'a');
    await enable(false);
    await forget();
    expect((await chat(prompt, 'a')).headers.get('x-baton-manager')).toBe('prefill-remote-decode-remote');
    expect(await legs()).toEqual(['prefill - 200', 'decode - 200']);
    await mustBeSettled();
  });
});
