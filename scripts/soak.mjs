/**
 * `npm run test:soak`: load with random faults for a long time, then the slopes of what must not grow.
 *
 *   --minutes 30   how long
 *   --rate 100     requests a second
 *   --faults 0.3   the share of requests that a fault befalls
 *   --seed N       replays the choice of faults
 *
 * The load is the case S1 of the fault suite, which reads these from SOAK_MINUTES, SOAK_RATE and SOAK_FAULTS.
 */
import { parseArgs } from 'node:util';
import { runFaults } from '../test/faults/support/run-faults.mjs';
import { setUp } from './setup.mjs';

const options = {
  minutes: { type: 'string', default: '30' },
  rate: { type: 'string', default: '100' },
  faults: { type: 'string', default: '0.3' },
  seed: { type: 'string' },
};

try {
  const { minutes, rate, faults, seed } = parseArgs({ options }).values;
  for (const [name, value] of Object.entries({ minutes, rate, faults })) {
    if (!(Number(value) >= 0)) throw new Error(`--${name} ${value} is not a number of at least 0`);
  }
  await setUp();
  const env = { SOAK_MINUTES: minutes, SOAK_RATE: rate, SOAK_FAULTS: faults };
  const { results, failedTests } = await runFaults({ only: ['S1'], seed, isFull: true, env });
  for (const { id, title, runs, injected, figures, failures, seed: replay } of results) {
    console.log(`\n${id}: ${title}: ${runs} requests, ${injected} faults, seed ${replay}`);
    for (const [name, value] of Object.entries(figures)) console.log(`  ${name}: ${value}`);
    for (const failure of failures) console.log(`  FAILED: ${failure}`);
  }
  process.exitCode = failedTests.length > 0 || results.length === 0 ? 1 : 0;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
