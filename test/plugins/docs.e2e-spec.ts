import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** The ports that the page names. The test takes others, so that it can run beside anything: that is all it changes. */
const PORTS = ['8000', '8100', '8200'];
/** npm fetches packages. */
const TIMEOUT_MS = 300_000;

/** The blocks of docs/plugins.md that are marked as steps, one after another, as a reader pastes them into one shell. */
function stepsOf(page: string): readonly string[] {
  return [...page.matchAll(/^```bash step\n(.*?)^```$/gms)].map(([, block = '']) => block);
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Runs a script in a shell that ends at the first command that fails; ends all that it has started. */
async function follow(
  script: string,
  directory: string,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(BATON_|NODE_OPTIONS|JEST_|NODE_ENV)/.test(name));
  const shell = spawn('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: directory,
    env: { ...Object.fromEntries(inherited), BATON: ROOT },
    // A process group of its own, so that the servers that it starts can be ended with it.
    detached: true,
    timeout: TIMEOUT_MS - 10_000,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [shell.stdout, shell.stderr]) stream.on('data', (data: Buffer) => (output += String(data)));
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      shell.once('error', reject);
      // Not "close": servers in the background keep its output open.
      shell.once('exit', resolve);
    });
    return { code, output };
  } finally {
    if (shell.pid !== undefined) process.kill(-shell.pid, 'SIGKILL');
  }
}

describe('docs/plugins.md', () => {
  let page: string;
  let directory: string;

  beforeAll(async () => {
    page = await readFile(join(ROOT, 'docs/plugins.md'), 'utf8');
    directory = await mkdtemp(join(tmpdir(), 'baton-docs-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it(
    'takes a reader who follows it to the letter from nothing to plugins that were loaded, replaced and removed',
    async () => {
      const steps = stepsOf(page);
      expect(steps.length).toBeGreaterThanOrEqual(8);
      const ports = await freePorts(PORTS.length);
      const marked = steps.map((step, index) => `echo "== step ${index + 1}"\n${step}`).join('');
      const script = PORTS.reduce(
        (text, port, index) =>
          text
            .replaceAll(`:${port}`, `:${ports[index]}`)
            .replaceAll(`port ${port}`, `port ${ports[index]}`)
            .replaceAll(`port: ${port}`, `port: ${ports[index]}`),
        marked,
      );
      const { code, output } = await follow(`${script}echo "== the end"\n`, directory);
      // All of it is shown when a step has failed.
      expect(`${code}\n${output}`).toMatch(/^0\n[^]*== the end\n/);
    },
    TIMEOUT_MS,
  );

  it('explains every reason for which a plugin can be refused', async () => {
    const source = await readFile(join(ROOT, 'libs/coordination/src/plugins/plugin-error.ts'), 'utf8');
    const [, union = ''] = /type PluginErrorCode =([^;]*);/.exec(source) ?? [];
    const codes = [...union.matchAll(/'(\w+)'/g)].map(([, code = '']) => code);
    expect(codes).toContain('plugin_not_found');
    const explained = [...page.matchAll(/^\| `(plugin_\w+)`/gm)].map(([, code = '']) => code);
    expect(explained.sort()).toEqual(codes.sort());
  });
});
