/**
 * Installs and builds what is missing or out of date; silent and quick when nothing changed.
 * Uses Node's own modules alone, since it runs before anything is installed.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The root of the workspace, with a slash at its end. */
export const ROOT = fileURLToPath(new URL('../', import.meta.url));

const STAMP = `${ROOT}node_modules/.baton-stamp`;
const INSTALL_TIMEOUT_MS = 15 * 60_000;
const BUILD_TIMEOUT_MS = 5 * 60_000;

/** Installs and builds. Rejects with an error whose message holds the failed tool's output. */
export async function setUp() {
  await install();
  await build();
}

/** Runs `npm ci` unless node_modules already holds what package-lock.json asks for. */
export async function install() {
  const wanted = createHash('sha256').update(read('package-lock.json')).update(read('package.json')).digest('hex');
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted) return;
  if (!isInstalled()) {
    console.log('Installing packages (npm ci) ...');
    const npm = process.env['npm_execpath'];
    const args = ['ci', '--include=dev', '--no-audit', '--no-fund'];
    if (npm?.endsWith('.js')) await run(process.execPath, [npm, ...args], INSTALL_TIMEOUT_MS);
    else await run('npm', args, INSTALL_TIMEOUT_MS);
  }
  writeFileSync(STAMP, wanted);
}

/** Builds all rooms. `tsc -b` itself finds out what is out of date. */
export async function build() {
  await run(process.execPath, ['node_modules/typescript/bin/tsc', '-b'], BUILD_TIMEOUT_MS);
}

/**
 * Whether somebody has already installed by hand. npm writes `.package-lock.json` as its last step: what it
 * holds, of all packages that this platform needs, is what is there.
 */
function isInstalled() {
  if (!existsSync(`${ROOT}node_modules/.package-lock.json`)) return false;
  const present = JSON.parse(read('node_modules/.package-lock.json')).packages;
  const wanted = JSON.parse(read('package-lock.json')).packages;
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '') return true;
    return path in present ? present[path].version === version : optional === true;
  });
}

function read(path) {
  return readFileSync(ROOT + path, 'utf8');
}

async function run(command, args, timeout) {
  try {
    await promisify(execFile)(command, args, { cwd: ROOT, timeout, maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    const output = `${error.stdout ?? ''}${error.stderr ?? ''}`.trim();
    const end = error.killed ? `did not end within ${timeout / 1000} s` : `failed (${error.code ?? error.signal})`;
    throw new Error(`${command} ${args.join(' ')} ${end}\n${output}`, { cause: error });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await setUp().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
