/**
 * `npm run packages`: packs every library as npm would publish it and looks at it as who installs it does: its metadata
 * (publint), its types (arethetypeswrong), its files; and whether its API report is up to date.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { LIBRARIES, updateReports } from './api.mjs';
import { packLibraries } from './pack.mjs';
import { ROOT } from './setup.mjs';

const TIMEOUT_MS = 60_000;
const ATTW = `${ROOT}node_modules/@arethetypeswrong/cli/dist/index.js`;
/** Of no use to who installs a library, or missed by them. */
const UNWANTED = /\.(spec|spec-support|e2e-spec)\.|\.tsbuildinfo$|\.api\.md$/;
const WANTED = ['LICENSE', 'README.md', 'dist/index.js', 'dist/index.d.ts'];

/** Each problem is a line; none when all is well. */
export async function packageProblems() {
  const directory = mkdtempSync(join(tmpdir(), 'baton-packages-'));
  try {
    const packed = await packLibraries(LIBRARIES, directory);
    const problems = [];
    const waiting = [...packed];
    const look = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
        problems.push(...(await lookAt(next)));
    };
    await Promise.all(Array.from({ length: availableParallelism() }, look));
    const outdated = updateReports(false).map((path) => `${path} is out of date: npm run api, then look at its diff.`);
    return [...problems, ...outdated];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function lookAt({ library, tarball, files }) {
  const manifest = JSON.parse(readFileSync(`${ROOT}libs/${library}/package.json`, 'utf8'));
  const { buffer, byteOffset, byteLength } = readFileSync(tarball);
  const pack = { tarball: buffer.slice(byteOffset, byteOffset + byteLength) };
  const { messages } = await publint({ pack, strict: true });
  const types = await typeProblems(tarball);
  return [
    ...messages.map((message) => `${message.type}: ${formatMessage(message, manifest, { color: false })}`),
    ...types,
    ...files.filter((path) => UNWANTED.test(path)).map((path) => `${path} is packed`),
    ...WANTED.filter((path) => !files.includes(path)).map((path) => `${path} is not packed`),
  ].map((problem) => `${manifest.name}: ${problem}`);
}

/** As a module of TypeScript sees it: `import` in Node and in bundlers; nobody can `require` it in older ones. */
async function typeProblems(tarball) {
  const args = [ATTW, tarball, '--profile', 'esm-only', '--no-color', '--no-emoji'];
  try {
    await promisify(execFile)(process.execPath, args, { cwd: ROOT, timeout: TIMEOUT_MS });
    return [];
  } catch (error) {
    return [`types: ${`${error.stdout ?? ''}${error.stderr ?? ''}`.trim() || error.message}`];
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const problems = await packageProblems();
    for (const problem of problems) console.error(problem);
    if (problems.length > 0) process.exitCode = 1;
    else console.log(`${LIBRARIES.length} libraries, as packed: nothing to complain about.`);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
