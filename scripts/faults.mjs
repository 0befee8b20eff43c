/**
 * `npm run test:faults`: the fault suite in full, one file after another, and a table of what it saw.
 *
 *   --only R1,X2   these cases alone
 *   --seed N       replays a case with the seed that the table names
 *   --scaled       as within `npm test`
 *
 * In full, it writes the table of stranded KV in docs/cancellation.md. Exits with 1 when a case failed, or is neither present nor explained in `test/faults/not-covered.json`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeGapTable } from '../test/faults/leaving/gap-table.mjs';
import { faultsOfPresence, notCovered } from '../test/faults/support/presence.mjs';
import { runFaults } from '../test/faults/support/run-faults.mjs';
import { setUp } from './setup.mjs';

const options = { only: { type: 'string' }, seed: { type: 'string' }, scaled: { type: 'boolean' } };

try {
  const { only, seed, scaled } = parseArgs({ options }).values;
  await setUp();
  const start = performance.now();
  const isFull = scaled !== true;
  const directory = mkdtempSync(join(tmpdir(), 'baton-gap-'));
  const env = { FAULTS_GAP: join(directory, 'gap') };
  const { results, failedTests } = await runFaults({ only: only?.split(','), seed, isFull, env });
  if (isFull && (await writeGapTable(env.FAULTS_GAP)))
    console.log('\nThe table in docs/cancellation.md is of this run.');
  rmSync(directory, { recursive: true, force: true });
  printTable(results);
  const silent = failedTests.filter((name) => !results.some(({ id, failed }) => failed > 0 && name.includes(`${id}:`)));
  for (const name of silent) console.log(`FAILED without a result (a bound, or no proof of its fault): ${name}`);
  for (const { id, failures, seed: replay } of results.filter(({ failed }) => failed > 0)) {
    console.log(`\n${id} (--only "${id}" --seed ${replay}):\n  ${failures.slice(0, 5).join('\n  ')}`);
  }
  const absent = only === undefined ? printAbsent() : 0;
  const minutes = ((performance.now() - start) / 60_000).toFixed(1);
  console.log(`\n${results.length} cases, ${failedTests.length} failed, in ${minutes} minutes`);
  process.exitCode = failedTests.length > 0 || absent > 0 || results.length === 0 ? 1 : 0;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

/** Says which cases there are not; returns how many of them nobody has explained. */
function printAbsent() {
  const [explained, wrong] = [notCovered(), faultsOfPresence()];
  if (explained.length > 0) console.log('\nNot covered:');
  for (const { id, reason } of explained) console.log(`  ${id}: ${reason}`);
  for (const each of wrong) console.log(`MISSING: ${each}`);
  return wrong.length;
}

function printTable(results) {
  const rows = [...results]
    .sort(byId)
    .map((result) => [
      ...[result.id, result.title, result.runs, result.injected, result.failed],
      ...[figuresOf(result), result.seed, result.seconds.toFixed(1)],
    ]);
  const head = ['case', 'title', 'runs', 'faults injected', 'failures', 'worst figures', 'seed', 'seconds'];
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => String(row[column]).length)));
  const line = (row) => `| ${row.map((cell, column) => String(cell).padEnd(widths[column])).join(' | ')} |`;
  console.log(`\n${line(head)}\n|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`);
  for (const row of rows) console.log(line(row));
}

function figuresOf({ figures }) {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${value}`)
    .join('; ');
}

/** R before X, by number, then by part. */
function byId(a, b) {
  const key = ({ id }) => id.replace(/\d+/, (digits) => digits.padStart(3, '0'));
  return key(a) < key(b) ? -1 : 1;
}
