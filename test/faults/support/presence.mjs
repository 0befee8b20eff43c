/**
 * Which cases the suite has to have, and which of them it has: each is there, or `not-covered.json` says why not.
 * `node test/faults/support/presence.mjs` checks that alone.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FAULTS = fileURLToPath(new URL('../', import.meta.url));
const numbered = (letter, count) => Array.from({ length: count }, (_, index) => `${letter}${index + 1}`);

/** Every case. */
export const EXPECTED = [...numbered('R', 36), ...numbered('X', 14)];

/** The cases that are named in the specs: an id begins a text, alone or with a part behind it (`R1 nixl`). */
export function present() {
  const specs = readdirSync(FAULTS, { recursive: true }).map(String);
  const texts = specs
    .filter((path) => path.endsWith('.ts') && !path.startsWith('support'))
    .map((path) => readFileSync(FAULTS + path, 'utf8'));
  return new Set(texts.flatMap((text) => [...text.matchAll(/['"`]([RX]\d+)(?=['"` ])/g)].map(([, id]) => id)));
}

/** `{ id, reason }` of each case that the suite does without. */
export function notCovered() {
  return JSON.parse(readFileSync(`${FAULTS}not-covered.json`, 'utf8'));
}

/** What is wrong, as texts: cases that are neither present nor explained, or both. */
export function faultsOfPresence() {
  const [there, explained] = [present(), notCovered()];
  const ids = new Set(explained.map(({ id }) => id));
  return [
    ...EXPECTED.filter((id) => !there.has(id) && !ids.has(id)).map((id) => `${id} is neither present nor explained`),
    ...[...ids].filter((id) => there.has(id)).map((id) => `${id} is present, and explained as not covered`),
    ...[...ids].filter((id) => !EXPECTED.includes(id)).map((id) => `${id} is not a case`),
    ...explained.filter(({ reason }) => !reason).map(({ id }) => `${id} has no reason`),
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wrong = faultsOfPresence();
  for (const each of wrong) console.error(each);
  process.exitCode = wrong.length > 0 ? 1 : 0;
}
