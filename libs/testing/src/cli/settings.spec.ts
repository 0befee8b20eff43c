import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSettings } from './settings.js';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'conformance-settings-spec-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

let written = 0;
async function file(text: string): Promise<string> {
  const path = join(directory, `${(written += 1)}.mjs`);
  await writeFile(path, text);
  return path;
}

describe('the settings of a plugin', () => {
  it('are none without a file', async () => {
    expect(await readSettings(directory, undefined)).toEqual({});
  });

  it('are what the file exports', async () => {
    const path = await file('export default { managers: { hello: { boundMs: 5 } } };');
    expect(await readSettings(directory, path)).toEqual({ managers: { hello: { boundMs: 5 } } });
  });

  it('are what it returns, which can make requests without importing anything', async () => {
    const path = await file(`export default async ({ inferenceRequest }) => ({
      managers: {
        gold: { request: (stream) => inferenceRequest('completions', { prompt: 'One', stream }, { clientHeaders: { a: 'b' } }) },
      },
    });`);
    const { managers } = await readSettings(directory, path);
    expect(managers?.['gold']?.request?.(true)).toMatchObject({
      api: 'completions',
      body: { prompt: 'One' },
      stream: true,
      clientHeaders: { a: 'b' },
    });
  });

  it.each([
    ['export const managers = {};', 'must export { managers, connectors, pickers }'],
    ['export default { manager: {} };', 'must export { managers, connectors, pickers }'],
    ['export default { managers: { hello: 1 } };', 'must export { managers, connectors, pickers }'],
    ['export default () => 1;', 'must export { managers, connectors, pickers }'],
    ['export default () => { throw new Error("a mistake"); };', 'failed: a mistake'],
    ['import "nobody-has-this"; export default {};', 'Cannot find'],
    ['export default {', 'failed: '],
  ])('are refused when it says %j', async (text, message) => {
    const path = await file(text);
    await expect(readSettings(directory, path)).rejects.toThrow(message);
  });
});
