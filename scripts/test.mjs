/**
 * `npm test`: every check of the project, one after another; a failed one does not hide the next.
 * `npm test -- --only unit,e2e` runs some of them. The last line is `N passed, N failed`.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build, install, ROOT } from './setup.mjs';

const MINUTE_MS = 60_000;
/** Jest exits at once when its tests have left nothing open. */
const EXIT_GRACE_MS = 10_000;
const rooms = ['libs', 'apps', 'plugins', 'test'].filter((directory) => existsSync(ROOT + directory));

/** The checks in order; a tool counts as one test, jest as many as it has run. */
const stages = {
  build: () => asOneTest(build),
  format: () => tool('prettier/bin/prettier.cjs', ['--check', '.']),
  lint: () => tool('eslint/bin/eslint.js', ['.']),
  architecture: () =>
    tool('dependency-cruiser/bin/dependency-cruise.mjs', ['--config', '.dependency-cruiser.mjs', ...rooms]),
  types: () => tool('typescript/bin/tsc', ['-p', 'tsconfig.check.json']),
  unit: () => jest('unit', [], 10 * MINUTE_MS),
  wire: () => jest('wire', ['--maxWorkers=2'], 60 * MINUTE_MS),
  faults: () => jest('faults', ['--maxWorkers=2'], 60 * MINUTE_MS),
  e2e: () => jest('e2e', ['--runInBand'], 60 * MINUTE_MS),
};

const total = { passed: 0, failed: 0, skipped: 0 };
const failedStages = [];

for (const name of await chosenStages()) {
  console.log(`\n== ${name}`);
  const start = performance.now();
  const { passed, failed, skipped } = await stages[name]();
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
  if (failed > 0) failedStages.push(name);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`== ${name}: ${failed > 0 ? 'FAILED' : 'passed'} in ${seconds} s`);
}

if (failedStages.length > 0) console.log(`\nFailed: ${failedStages.join(', ')}`);
process.exitCode = total.failed > 0 ? 1 : 0;
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);

/** The stages to run; none when the command line is wrong or the packages cannot be installed. */
async function chosenStages() {
  try {
    const { values } = parseArgs({ options: { only: { type: 'string' } } });
    const names = values.only?.split(',') ?? Object.keys(stages);
    const unknown = names.filter((name) => !Object.hasOwn(stages, name));
    if (unknown.length > 0) {
      throw new Error(`--only ${unknown.join(',')}: the stages are ${Object.keys(stages).join(', ')}`);
    }
    await install();
    return names;
  } catch (error) {
    console.error(error.message);
    total.failed += 1;
    return [];
  }
}

async function asOneTest(check) {
  try {
    await check();
    return { passed: 1, failed: 0, skipped: 0 };
  } catch (error) {
    console.error(error.message);
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

function tool(script, args) {
  return asOneTest(() => node([`node_modules/${script}`, ...args], 10 * MINUTE_MS));
}

/** Runs a jest project and reads its totals; a suite that does not even load counts as one failed test. */
async function jest(project, args, timeoutMs) {
  const directory = mkdtempSync(join(tmpdir(), 'baton-test-'));
  const outputFile = join(directory, 'jest.json');
  try {
    const end = await asOneTest(() =>
      node(
        [
          ...['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'],
          ...['--ci', '--selectProjects', project, '--json', '--outputFile', outputFile, ...args],
        ],
        timeoutMs,
        outputFile,
      ),
    );
    if (!existsSync(outputFile)) return { passed: 0, failed: 1, skipped: 0 };
    const totals = JSON.parse(readFileSync(outputFile, 'utf8'));
    const failed = totals.numFailedTests + totals.numRuntimeErrorTestSuites;
    return {
      passed: totals.numPassedTests,
      // Jest can fail without a failed test: no tests at all, or an error after the last one.
      failed: Math.max(failed, end.failed),
      skipped: totals.numPendingTests + totals.numTodoTests,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Runs Node with its output shown. Rejects unless it exits with 0 in time, and soon after it has written `lastFile`.
 */
function node(args, timeoutMs, lastFile) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });
    let late;
    let exitBound;
    const end = (why) => {
      late ??= why;
      child.kill('SIGKILL');
    };
    const bound = setTimeout(end, timeoutMs, `did not end within ${timeoutMs / 1000} s`);
    const watch = setInterval(() => {
      if (lastFile === undefined || !existsSync(lastFile)) return;
      clearInterval(watch);
      exitBound = setTimeout(end, EXIT_GRACE_MS, 'was done but did not exit: its tests left something open');
    }, 500);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(bound);
      clearTimeout(exitBound);
      clearInterval(watch);
      if (code === 0) resolve();
      else reject(new Error(late ?? `ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}
