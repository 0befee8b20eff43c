/**
 * `node --import sabotage.mjs`: takes one piece of cleanup out of the product while it is loaded, named by FAULTS_SABOTAGE.
 * A case that stays green without it proves nothing. The process ends at once when there was nothing to take out.
 */
import { register } from 'node:module';
import { fileURLToPath } from 'node:url';
import { SABOTAGES } from './sabotages.mjs';

const name = process.env['FAULTS_SABOTAGE'];
// For this process alone: those that it forks inherit both the option and the environment.
delete process.env['FAULTS_SABOTAGE'];
if (name !== undefined) sabotageThis();

function sabotageThis() {
  const sabotage = SABOTAGES.find((each) => each.name === name);
  if (sabotage === undefined) throw new Error(`There is no sabotage ${name}.`);

  const root = fileURLToPath(new URL('../../../', import.meta.url));
  const done = new Int32Array(new SharedArrayBuffer(4));
  register('./sabotage-hooks.mjs', { parentURL: import.meta.url, data: { ...sabotage, root, done } });

  // The first message says that the instance is ready: by then, all of it was loaded.
  const send = process.send?.bind(process);
  process.send = (...args) => {
    if (Atomics.load(done, 0) === 1) return send(...args);
    console.error(`The sabotage ${name} has not happened: ${sabotage.file} was not loaded.`);
    process.exit(70);
  };
}
