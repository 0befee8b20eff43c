/**
 * `npm run test:plugins`: the specs of plugins in full, and the figures that they print.
 *
 *   --rate 200       requests a second while managers come and go
 *   --exercise 1000  answers that each of them gives before the next step
 *   --cycles 1000    times that one plugin is loaded and unloaded
 *   --distinct 200   times that a plugin of another content is
 *   --only NAME      the specs whose path has it: hot, cycles, attacks, ...
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { ROOT, setUp } from './setup.mjs';

const options = {
  rate: { type: 'string', default: '200' },
  exercise: { type: 'string', default: '1000' },
  cycles: { type: 'string', default: '1000' },
  distinct: { type: 'string', default: '200' },
  only: { type: 'string', default: '' },
};

try {
  const { only, ...figures } = parseArgs({ options }).values;
  for (const [name, value] of Object.entries(figures)) {
    if (!(Number(value) >= 1)) throw new Error(`--${name} ${value} is not a number of at least 1`);
  }
  await setUp();
  const settings = Object.entries(figures).map(([name, value]) => [`PLUGINS_${name.toUpperCase()}`, value]);
  const { status } = spawnSync(
    process.execPath,
    [
      ...['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'],
      ...[`test/plugins/.*${only}`, '--ci', '--selectProjects', 'wire', '--runInBand'],
    ],
    { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...Object.fromEntries(settings) } },
  );
  process.exitCode = status ?? 1;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
