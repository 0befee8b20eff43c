/**
 * `npm test`: every check of the project; a failed one does not hide the next. The checks of a group run side by side, as
 * many as the machine has cores, and the groups one after another. `npm test -- --only unit,e2e` runs some of them.
 * The last line is `N passed, N failed`.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build, install, ROOT } from './setup.mjs';

const MINUTE_MS = 60_000;
/** Jest exits at once when its tests have left nothing open. */
const EXIT_GRACE_MS = 10_000;
const rooms = ['libs', 'apps', 'plugins', 'test'].filter((directory) => existsSync(ROOT + directory));

/** The checks, in groups; a tool counts as one test, jest as many as it has run. Each gets a function that shows output. */
const groups = [
  { build: () => asOneTest(build) },
  {
    lint: (show) => tool('eslint/bin/eslint.js', ['.'], show),
    format: (show) => tool('prettier/bin/prettier.cjs', ['--check', '.'], show),
    architecture: (show) =>
      tool('dependency-cruiser/bin/dependency-cruise.mjs', ['--config', '.dependency-cruiser.mjs', ...rooms], show),
    types: (show) => tool('typescript/bin/tsc', ['-p', 'tsconfig.check.json'], show),
    packages: (show) => asOneTest(() => node(['scripts/packages.mjs'], 10 * MINUTE_MS, show)),
  },
  { unit: (show) => jest(['unit'], ['--maxWorkers=2'], show) },
  // Against simulators, which mostly wait.
  { wire: (show) => jest(['wire', 'faults'], ['--maxWorkers=3'], show) },
  // With the embedded engine, which computes.
  { e2e: (show) => jest(['e2e'], ['--maxWorkers=2'], show) },
];

const total = { passed: 0, failed: 0, skipped: 0 };
const failedChecks = [];

for (const group of await chosenGroups()) {
  const waiting = Object.entries(group);
  const isAlone = waiting.length === 1;
  const workers = Array.from({ length: availableParallelism() }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await run(...next, isAlone);
  });
  await Promise.all(workers);
}

if (failedChecks.length > 0) console.log(`\nFailed: ${failedChecks.join(', ')}`);
process.exitCode = total.failed > 0 ? 1 : 0;
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);

/** Runs one check. What it says is shown at once when it runs alone, else when it has ended. */
async function run(name, check, isAlone) {
  const said = [];
  const show = isAlone ? (output) => process.stdout.write(output) : (output) => said.push(output);
  const start = performance.now();
  if (isAlone) console.log(`\n== ${name}`);
  const { passed, failed, skipped } = await check(show);
  if (!isAlone) console.log(`\n== ${name}\n${Buffer.concat(said).toString('utf8')}`);
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
  if (failed > 0) failedChecks.push(name);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`== ${name}: ${failed > 0 ? 'FAILED' : 'passed'} in ${seconds} s`);
}

/** What to run; nothing when the command line is wrong or the packages cannot be installed. */
async function chosenGroups() {
  try {
    const { values } = parseArgs({ options: { only: { type: 'string' } } });
    const known = groups.flatMap((group) => Object.keys(group));
    const names = values.only?.split(',') ?? known;
    const unknown = names.filter((name) => !known.includes(name));
    if (unknown.length > 0) {
      throw new Error(`--only ${unknown.join(',')}: the checks are ${known.join(', ')}`);
    }
    await install();
    const chosen = groups.map((group) => Object.entries(group).filter(([name]) => names.includes(name)));
    return chosen.filter((entries) => entries.length > 0).map((entries) => Object.fromEntries(entries));
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

function tool(script, args, show) {
  return asOneTest(() => node([`node_modules/${script}`, ...args], 10 * MINUTE_MS, show));
}

/** Runs jest projects and reads their totals; a suite that does not even load counts as one failed test. */
async function jest(projects, args, show) {
  const directory = mkdtempSync(join(tmpdir(), 'baton-test-'));
  const outputFile = join(directory, 'jest.json');
  try {
    const end = await asOneTest(() =>
      node(
        [
          ...['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'],
          ...['--ci', '--selectProjects', ...projects, '--json', '--outputFile', outputFile, ...args],
        ],
        60 * MINUTE_MS,
        show,
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
 * Runs Node. Rejects unless it exits with 0 in time, and soon after it has written `lastFile`.
 */
function node(args, timeoutMs, show, lastFile) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['inherit', 'pipe', 'pipe'] });
    child.stdout.on('data', show);
    child.stderr.on('data', show);
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
