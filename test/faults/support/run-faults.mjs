/** Runs jest's project of faults and reads what its cases have written. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const JEST = [
  ...['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'],
  // One file after another: figures about time need a quiet machine.
  ...['--ci', '--selectProjects', 'faults', '--runInBand', '--json'],
];
const BOUND_MS = 90 * 60_000;

/**
 * @param {{ only?: string[], seed?: string, isFull: boolean, env?: Record<string, string>, isSilent?: boolean }} what
 * @returns {Promise<{ results: object[], failedTests: string[] }>} a result for each case that came to its end, and the names
 *   of all tests that failed.
 */
export async function runFaults({ only, seed, isFull, env = {}, isSilent = false }) {
  const directory = mkdtempSync(join(tmpdir(), 'baton-faults-'));
  const [results, report] = [join(directory, 'results'), join(directory, 'jest.json')];
  // A name of a test is `room id: title`; an id without its part means all of its parts.
  const pattern =
    only === undefined ? [] : [...filesNaming(only), '--testNamePattern', `(?:^| )(?:${only.join('|')})(?: [^:]*)?:`];
  try {
    const child = spawn(process.execPath, [...JEST, '--outputFile', report, ...pattern], {
      ...{ cwd: ROOT, timeout: BOUND_MS, killSignal: 'SIGKILL', stdio: isSilent ? 'ignore' : 'inherit' },
      env: {
        ...process.env,
        FAULTS_RESULTS: results,
        ...(isFull && { FAULTS_FULL: '1' }),
        ...(seed !== undefined && { FAULTS_SEED: seed }),
        ...env,
      },
    });
    await once(child, 'close');
    if (!existsSync(report)) throw new Error('The fault suite ended without a report.');
    return {
      results: existsSync(results) ? readFileSync(results, 'utf8').trim().split('\n').map(parsed) : [],
      failedTests: failuresOf(JSON.parse(readFileSync(report, 'utf8'))),
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The specs that name one of these cases; none when a part of theirs does, so that all are looked at. */
function filesNaming(ids) {
  const directory = `${ROOT}test/faults/`;
  const specs = readdirSync(directory).filter((name) => name.endsWith('.faults-spec.ts'));
  const naming = ids.map((id) =>
    specs.filter((name) => readFileSync(directory + name, 'utf8').includes(`${id.split(' ')[0]}`)),
  );
  return naming.some((files) => files.length === 0) ? [] : [...new Set(naming.flat())];
}

function parsed(line) {
  return JSON.parse(line);
}

/** Failed tests, and files that did not even load. */
function failuresOf({ testResults }) {
  return testResults.flatMap(({ name, message, assertionResults }) => {
    const failed = assertionResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName);
    return assertionResults.length === 0 && message !== '' ? [name] : failed;
  });
}
