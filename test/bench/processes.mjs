/** The processes of the benchmark. Each is a resource: `start...` acquires it, `stopAll` gives all of them back. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ANSWER_TIMEOUT_MS = 30_000;
const CPU_REPORT = new URL('cpu-report.mjs', import.meta.url).href;

const children = new Set();
const directory = mkdtempSync(join(tmpdir(), 'baton-bench-'));
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

/** The engine double. `behave` changes what it does and tells what it holds. */
export async function startDouble() {
  const child = start('double-process.mjs', [directory]);
  const { url } = await message(child, 'ready');
  return { url, behave: (behaviour) => ask(child, { behaviour }, 'state') };
}

/** The bare proxy in front of `engine`. */
export async function startBareProxy(engine, execArgv) {
  const child = start('bare-proxy.mjs', [engine], measured(execArgv));
  const { url } = await message(child, 'ready');
  return { name: 'bare', url, cpuUs: () => cpuUs(child) };
}

/** A whole instance whose engine is `engine`, and whose decode instance is the same. */
export async function startInstance(engine, execArgv) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('BATON_'));
  const child = start('../../apps/instance/dist/main.js', [], {
    ...measured(execArgv),
    env: {
      ...Object.fromEntries(inherited),
      BATON_SERVER_PORT: '0',
      BATON_ENGINE_KIND: 'http',
      BATON_ENGINE_URL: engine,
      BATON_COORDINATION_CONNECTOR: 'embedded',
      BATON_COORDINATION_DECODE_ENDPOINTS: engine,
      BATON_LOG_LEVEL: 'warn',
      BATON_PLUGIN_DIRECTORIES: '',
    },
  });
  const { url } = await message(child, 'ready');
  return { name: 'instance', url, cpuUs: () => cpuUs(child) };
}

/** Ends every process by SIGTERM, and by SIGKILL what does not follow. */
export async function stopAll() {
  await Promise.all([...children].map(stop));
}

function measured(execArgv = []) {
  return { execArgv: [...execArgv, '--import', CPU_REPORT] };
}

function start(script, args, options = {}) {
  const child = fork(fileURLToPath(new URL(script, import.meta.url)), args, {
    ...options,
    stdio: ['ignore', 2, 2, 'ipc'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const forced = setTimeout(() => child.kill('SIGKILL'), 3_000);
  await exited;
  clearTimeout(forced);
}

function ask(child, question, type) {
  const answer = message(child, type);
  child.send(question);
  return answer;
}

/** CPU time of the whole process so far: user and system, of all threads. */
async function cpuUs(child) {
  const { usage } = await ask(child, 'cpu', 'cpu');
  return usage.user + usage.system;
}

/** The next message of a type. Rejects when the process ends first, or takes too long. */
function message(child, type) {
  return new Promise((resolve, reject) => {
    const settle = (end) => (value) => {
      clearTimeout(timer);
      child.off('message', onMessage).off('exit', onExit);
      end(value);
    };
    const onMessage = (value) => {
      if (value?.type === type) settle(resolve)(value);
    };
    const onExit = settle((code) => reject(new Error(`A process ended with ${code}: ${child.spawnargs.join(' ')}`)));
    const timer = setTimeout(() => settle(reject)(new Error(`no message "${type}" in time`)), ANSWER_TIMEOUT_MS);
    child.on('message', onMessage).on('exit', onExit);
  });
}
