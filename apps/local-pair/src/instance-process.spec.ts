import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeEnd, InstanceProcess } from './instance-process.js';

const READY = `process.send({ type: 'ready', url: 'http://127.0.0.1:1', port: 1, kvPort: 2 });`;
const STAY = 'setInterval(() => {}, 1000);';

describe('InstanceProcess', () => {
  let directory: string;
  let count = 0;
  const printed: string[] = [];

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'baton-spec-'));
  });
  afterAll(() => rm(directory, { recursive: true }));

  async function run(source: string): Promise<InstanceProcess> {
    const script = join(directory, `${count++}.mjs`);
    await writeFile(script, source);
    const print = (line: string): number => printed.push(line);
    return new InstanceProcess({ name: 'decode', script, env: process.env, verbose: false, print });
  }

  it('reads the address and ends with SIGTERM', async () => {
    const instance = await run(`${STAY} process.on('SIGTERM', () => process.exit(0)); ${READY}`);
    await expect(instance.address).resolves.toEqual({ url: 'http://127.0.0.1:1', kvPort: 2 });
    await expect(instance.stop(5_000)).resolves.toEqual({ code: 0, signal: null });
    await expect(instance.stop(5_000)).resolves.toEqual({ code: 0, signal: null });
  });

  it('ends by force what does not end itself', async () => {
    const instance = await run(`${STAY} process.on('SIGTERM', () => {}); ${READY}`);
    await instance.address;
    await expect(instance.stop(50)).resolves.toEqual({ code: null, signal: 'SIGKILL' });
  });

  it('rejects the address of a process that ends first, and shows why', async () => {
    const instance = await run(`console.error('engine.model: no such file'); process.exitCode = 3;`);
    await expect(instance.address).rejects.toThrow('The decode instance ended with exit code 3.');
    expect(printed).toContain('[decode] engine.model: no such file');
  });

  it('ignores messages that are no address', async () => {
    const instance = await run(`process.send('ready'); process.send({ type: 'ready' }); process.exitCode = 1;`);
    await expect(instance.address).rejects.toThrow('exit code 1');
  });

  it('names the signal that ended a process', () => {
    expect(describeEnd('prefill', { code: null, signal: 'SIGKILL' })).toBe(
      'The prefill instance was ended by SIGKILL.',
    );
  });
});
