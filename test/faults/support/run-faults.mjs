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
 * @returns {Promise<{ results: object[], failedTests: string[], reasons: Map<string, string> }>} a result for each case that
 *   came to its end, the names of all tests that failed, and what jest says of each of these.
 */
export async function runFaults({ only, seed, isFull, env = {}, isSilent = false }) {
  const directory = mkdtempSync(join(tmpdir(), 'baton-faults-'));
  const [results, report] = [join(directory, 'results'), join(directory, 'jest.json')];
  // A name of a test is `room id: title`; an id without its part means all of its parts.
  const pattern =
    only === undefined ? [] : [...filesNaming(only), '--testNamePattern', `(?:^| )(?:${only.join('|')})(?: [^:]*)?:`];
  try {
    // What a case that went red still does must not be waited for; `npm test` sees to it that a green one does nothing.
    const child = spawn(process.execPath, [...JEST, '--forceExit', '--outputFile', report, ...pattern], {
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
    const reasons = failuresOf(JSON.parse(readFileSync(report, 'utf8')));
    return {
      results: existsSync(results) ? readFileSync(results, 'utf8').trim().split('\n').map(parsed) : [],
      failedTests: [...reasons.keys()],
      reasons,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The specs that name one of these cases; none when a part of theirs does, so that all are looked at. */
function filesNaming(ids) {
  const directory = `${ROOT}test/faults/`;
  const specs = readdirSync(directory).filter((name) => name.endsWith('.faults-spec.ts'));
  const texts = new Map(specs.map((name) => [name, readFileSync(directory + name, 'utf8')]));
  const naming = ids.map((id) => {
    const text = new RegExp(`['"\`]${id.split(' ')[0]}['"\` ]`);
    return specs.filter((name) => text.test(texts.get(name)));
  });
  return naming.some((files) => files.length === 0) ? [] : [...new Set(naming.flat())];
}

function parsed(line) {
  return JSON.parse(line);
}

/** Failed tests, and files that did not even load, each with why. */
function failuresOf({ testResults }) {
  const failures = testResults.flatMap(({ name, message, assertionResults }) => {
    const failed = assertionResults.filter(({ status }) => status === 'failed');
    if (assertionResults.length === 0 && message !== '') return [[name, message]];
    return failed.map(({ fullName, failureMessages }) => [fullName, failureMessages[0] ?? '']);
  });
  return new Map(failures);
}
