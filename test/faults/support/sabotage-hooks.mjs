/** Module hooks of sabotage.mjs: they run in a thread of their own. */
import { pathToFileURL } from 'node:url';

let sabotage;

export function initialize(data) {
  sabotage = { ...data, url: pathToFileURL(data.root + data.file).href };
}

export async function load(url, context, nextLoad) {
  const loaded = await nextLoad(url, context);
  if (url !== sabotage.url) return loaded;
  const { name, file, find, replace, done } = sabotage;
  const parts = String(Buffer.from(loaded.source)).split(find);
  if (parts.length !== 2) throw new Error(`Sabotage ${name}: ${file} has ${parts.length - 1} times ${find}`);
  Atomics.store(done, 0, 1);
  return { ...loaded, source: parts.join(replace) };
}
