import { constants, type Dirent } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../policy/errno.js';
import { nameIn } from './manifest.js';
import { PluginError } from './plugin-error.js';
import { saidBy } from './within.js';

/** A directory that says it is a plugin. */
export interface PluginCandidate {
  /** As its `package.json` says, else that of the directory. */
  readonly name: string;
  readonly directory: string;
  /** What its `package.json` holds, parsed. */
  readonly json?: unknown;
  /** Why it cannot be one. */
  readonly problem?: PluginError;
}

const MAX_MANIFEST_BYTES = 1_048_576;
const IGNORED = /^(?:\.|node_modules$)/;

/** The bit of a mode that lets everybody write. */
export const WRITABLE_BY_ALL = 0o002;

/** The plugins in `directories`, in order. A name that two of them have is nobody's. */
export async function findPlugins(directories: readonly string[]): Promise<readonly PluginCandidate[]> {
  const byName = new Map<string, PluginCandidate[]>();
  for (const directory of directories) {
    for (const candidate of await pluginsIn(directory)) {
      byName.set(candidate.name, [...(byName.get(candidate.name) ?? []), candidate]);
    }
  }
  return [...byName.values()].flatMap(([first, ...others]) => {
    if (first === undefined) return [];
    return others.length === 0 ? [first] : [{ ...first, problem: sameName(first, others) }];
  });
}

/** None where there is no such directory. One that cannot be looked into is told of as a plugin of its path that is refused. */
async function pluginsIn(directory: string): Promise<readonly PluginCandidate[]> {
  try {
    return await candidatesIn(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    return [{ name: directory, directory, problem: notListed(directory, error) }];
  }
}

async function candidatesIn(directory: string): Promise<readonly PluginCandidate[]> {
  const root = await realpath(directory);
  const isOpenToAll = ((await stat(root)).mode & WRITABLE_BY_ALL) !== 0;
  const entries = await readdir(root, { withFileTypes: true });
  const found: PluginCandidate[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const candidate = IGNORED.test(entry.name) ? undefined : await candidateOf(root, entry);
    if (candidate === undefined) continue;
    found.push(isOpenToAll ? { ...candidate, problem: writableByAll(candidate.name, directory) } : candidate);
  }
  return found;
}

/** Undefined for what does not say that it is a plugin. */
async function candidateOf(root: string, entry: Dirent): Promise<PluginCandidate | undefined> {
  const directory = join(root, entry.name);
  if (entry.isSymbolicLink()) {
    // Whoever may change where it leads could change the plugin.
    const isDirectory = await stat(directory).then(
      (target) => target.isDirectory(),
      () => false,
    );
    return isDirectory ? { name: entry.name, directory, problem: isLink(entry.name, directory) } : undefined;
  }
  if (!entry.isDirectory()) return undefined;
  try {
    const text = await readManifestText(join(directory, 'package.json'));
    const json: unknown = JSON.parse(text);
    return { name: nameIn(json) ?? entry.name, directory, json };
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    return { name: entry.name, directory, problem: unreadable(entry.name, error) };
  }
}

/** What the `package.json` of a plugin's directory holds now, parsed. @throws PluginError 422 */
export async function candidateJson(plugin: string, directory: string): Promise<unknown> {
  try {
    return JSON.parse(await readManifestText(join(directory, 'package.json'))) as unknown;
  } catch (error) {
    throw unreadable(plugin, error);
  }
}

/** Waits for nothing: a pipe is not opened to be read. */
async function readManifestText(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    const found = await file.stat();
    if (!found.isFile()) throw new Error('it is no regular file');
    if (found.size > MAX_MANIFEST_BYTES) throw new Error(`it is larger than ${MAX_MANIFEST_BYTES} bytes`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/** Everybody may write to `path`. */
export function writableByAll(plugin: string, path: string): PluginError {
  return new PluginError({
    plugin,
    code: 'plugin_writable_by_all',
    reason: `everybody may write to ${path}`,
    fix: `Take that right away: chmod o-w ${path}.`,
  });
}

function sameName(first: PluginCandidate, others: readonly PluginCandidate[]): PluginError {
  return new PluginError({
    plugin: first.name,
    code: 'plugin_duplicate_name',
    reason: `${[first, ...others].map(({ directory }) => directory).join(' and ')} have that name both`,
    fix: 'Remove or rename all but one of them.',
  });
}

function notListed(directory: string, error: unknown): PluginError {
  return new PluginError({
    plugin: directory,
    code: 'plugin_unreadable',
    reason: `plugins cannot be looked for in it (${saidBy(error)})`,
    fix: 'Make it a directory that Baton may read, or take it from the directories of plugins.',
    cause: error,
  });
}

function isLink(plugin: string, directory: string): PluginError {
  return new PluginError({
    plugin,
    code: 'plugin_link_outside',
    reason: `${directory} is a link`,
    fix: 'Put the directory itself there, or add the one that it is in to the directories of plugins.',
  });
}

function unreadable(plugin: string, error: unknown): PluginError {
  return new PluginError({
    plugin,
    code: error instanceof SyntaxError ? 'plugin_invalid_manifest' : 'plugin_unreadable',
    reason: `its package.json cannot be read (${saidBy(error)})`,
    fix: 'Make it a file of JSON that Baton may read.',
    cause: error,
  });
}
