import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SCRIPT = join(ROOT, 'scripts/create-plugin.mjs');
const TIMEOUT_MS = 120_000;

/** Runs a command in `cwd`, as npm does: `INIT_CWD` is where the caller is. */
async function run(command: string, args: readonly string[], cwd: string): Promise<{ code: number; output: string }> {
  const env = { ...process.env, INIT_CWD: cwd, NODE_OPTIONS: '' };
  try {
    const { stdout, stderr } = await promisify(execFile)(command, args, { cwd, env, timeout: TIMEOUT_MS });
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, output: stdout + stderr };
  }
}

// A plugin outside of the repository is made, built and tested by what follows docs/plugins.md.
describe('npm run create:plugin', () => {
  let directory: string;
  const create = (...args: string[]): Promise<{ code: number; output: string }> =>
    run(process.execPath, [SCRIPT, ...args], directory);

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'baton-create-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it.each([
    { args: [], says: 'There is no name' },
    { args: ['a', 'b'], says: 'One name, not 2' },
    { args: ['../escape'], says: '"../escape" is not the name of a plugin' },
    { args: ['@acme/../escape'], says: '"@acme/../escape" is not the name of a plugin' },
    { args: ['/etc/x'], says: 'is not the name of a plugin' },
    { args: ['Upper'], says: 'is not the name of a plugin' },
    { args: ['2fast'], says: 'is not the name of a plugin' },
    { args: ['a'.repeat(65)], says: 'is not the name of a plugin' },
    { args: ['stream'], says: 'means something else in Node' },
    { args: ['x', '--directory='], says: '--directory names no directory' },
    { args: ['x', '--directory', join(ROOT, 'libs')], says: 'is in this repository' },
    { args: ['x', '--directory', ROOT], says: 'is in this repository' },
    { args: ['x', '--where', 'here'], says: "Unknown option '--where'" },
  ])('refuses $args', async ({ args, says }) => {
    const { code, output } = await create(...args);
    expect([code, output]).toEqual([1, expect.stringContaining(says)]);
    expect(output).not.toMatch(/^\s+at /m);
    expect(await readdir(directory)).toEqual([]);
  });

  it('refuses a folder that is there, and a link that leads into the repository', async () => {
    await mkdir(join(directory, 'taken'));
    expect(await create('taken', '--directory', '.')).toEqual({
      code: 1,
      output: expect.stringContaining('taken exists already'),
    });
    await symlink(join(ROOT, 'apps'), join(directory, 'link'));
    expect(await create('x', '--directory', 'link')).toEqual({
      code: 1,
      output: expect.stringContaining('is in this repository'),
    });
    expect(await readdir(join(directory, 'taken'))).toEqual([]);
  });

  it(
    'makes a plugin in the repository that builds and passes at once',
    async () => {
      const name = `created-${process.pid}`;
      const made = join(ROOT, 'plugins', name);
      try {
        const created = await create(`@acme/${name}`);
        expect(created).toEqual({ code: 0, output: expect.stringContaining(made) });
        const files = await readdir(made, { recursive: true });
        const manifest: unknown = JSON.parse(await readFile(join(made, 'package.json'), 'utf8'));
        expect(manifest).toMatchObject({ name: `@acme/${name}`, baton: { provides: [`manager:${name}`] } });
        for (const file of files.filter((path) => /\.\w+$/.test(path))) {
          expect(await readFile(join(made, file), 'utf8')).not.toMatch(/short-?answers/i);
        }
        const tested = await run('npm', ['test'], made);
        expect(`${tested.code}\n${tested.output}`).toMatch(/^0\n[^]*fail 0\n/);
      } finally {
        await rm(made, { recursive: true, force: true });
      }
    },
    TIMEOUT_MS,
  );
});
