/**
 * `npm run test:faults:controls`: whether the fault suite would notice. Each control takes one piece of cleanup out of the
 * product while it is loaded, and demands that a case goes red; the same case, untouched, has to be green.
 *
 *   --only gap-release,error-event   these controls alone
 */
import { parseArgs } from 'node:util';
import { runFaults } from '../test/faults/support/run-faults.mjs';
import { SABOTAGES } from '../test/faults/support/sabotages.mjs';
import { setUp } from './setup.mjs';

try {
  const { only } = parseArgs({ options: { only: { type: 'string' } } }).values;
  const names = only?.split(',');
  const controls = SABOTAGES.filter(({ name }) => names?.includes(name) ?? true);
  if (controls.length === 0) throw new Error(`The controls are ${SABOTAGES.map(({ name }) => name).join(', ')}.`);
  await setUp();
  const start = performance.now();
  const untouched = await run([...new Set(controls.map(({ only: id }) => id))]);
  console.log(`Without any of them: ${untouched.results.length} results, ${untouched.failedTests.length} tests failed`);
  const rows = [];
  for (const { name, what, only: id } of controls) {
    const [green, red] = [outcomeOf(id, untouched), outcomeOf(id, await run([id], { FAULTS_SABOTAGE: name }))];
    const isRight = red.state === 'red' && green.state === 'green';
    if (!isRight) process.exitCode = 1;
    const why = green.state === 'green' ? red.why : `without it: ${green.why}`;
    rows.push([isRight ? 'ok' : 'FAILED', name, what, id, red.state, green.state, why]);
    console.log(
      `${isRight ? 'ok    ' : 'FAILED'} ${name}: ${id} is ${red.state} with it, ${green.state} without: ${why}`,
    );
  }
  printTable(['', 'control', 'what is gone', 'case', 'with it', 'without', 'what failed'], rows);
  const right = rows.filter(([state]) => state === 'ok').length;
  const minutes = ((performance.now() - start) / 60_000).toFixed(1);
  console.log(`\n${right} of ${rows.length} controls went red, in ${minutes} minutes`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

function run(only, env = {}) {
  return runFaults({ only, isFull: false, env, isSilent: true });
}

/** Red: the case ran, and failed or did not end in its time. One that could not even run is neither red nor green. */
function outcomeOf(id, { results, reasons }) {
  const isOf = (name) => name === id || name.startsWith(`${id} `);
  const own = results.filter((result) => isOf(result.id));
  const failed = own.find((result) => result.failed > 0);
  if (failed !== undefined) return { state: 'red', why: short(failed.failures[0]) };
  const tests = [...reasons].filter(([name]) => new RegExp(`(?:^| )${id}(?: [^:]*)?:`).test(name));
  const late = tests.find(([, why]) => why.includes('Exceeded timeout'));
  if (late !== undefined) return { state: 'red', why: 'it did not end in its time' };
  if (tests.length > 0 || own.length === 0) return { state: 'broken', why: short(tests[0]?.[1] ?? 'it did not run') };
  return { state: 'green', why: '' };
}

function short(text) {
  const [line] = text.split('\n');
  return line.length > 110 ? `${line.slice(0, 107)}...` : line;
}

function printTable(head, rows) {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)));
  const line = (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  console.log(`\n${line(head)}\n|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`);
  for (const row of rows) console.log(line(row));
}
