/**
 * `npm run test:faults:controls`: whether the fault suite would notice. Each control takes one piece of cleanup out of the
 * product while it is loaded, and demands that a case goes red; then the same case, untouched, has to be green.
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
  const greens = new Map();
  const lines = [];
  for (const { name, what, only: id } of controls) {
    const red = await outcome(id, { FAULTS_SABOTAGE: name });
    if (!greens.has(id)) greens.set(id, await outcome(id));
    const green = greens.get(id);
    const isRight = red.state === 'red' && green.state === 'green';
    if (!isRight) process.exitCode = 1;
    const line = `${isRight ? 'ok    ' : 'FAILED'} ${name} (${what}): ${id} is ${red.state} with it, ${green.state} without`;
    lines.push(line);
    console.log(`${line}\n         ${(isRight ? red : green.state === 'green' ? red : green).why}`);
  }
  console.log(`\n${lines.filter((line) => line.startsWith('ok')).length} of ${lines.length} controls went red`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

/** Red: the case ran, and failed. A case that could not even run is neither red nor green. */
async function outcome(id, env = {}) {
  const { results, failedTests } = await runFaults({ only: [id], isFull: false, env, isSilent: true });
  const failed = results.filter((result) => result.failed > 0);
  if (failed.length > 0) return { state: 'red', why: failed[0].failures[0].split('\n')[0] };
  if (failedTests.length > 0 || results.length === 0) return { state: 'broken', why: failedTests[0] ?? 'no such case' };
  return { state: 'green', why: '' };
}
