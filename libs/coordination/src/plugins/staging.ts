import { createHash, type Hash } from 'node:crypto';
import { constants, rmSync } from 'node:fs';
import { mkdir, mkdtemp, open, realpath, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { contentOf, type ContentBounds, type ContentEntry } from './content-files.js';
import type { PeerLink } from './host-packages.js';
import { PluginError } from './plugin-error.js';
import { saidBy } from './within.js';

/** A plugin's own copy, which is what runs. */
export interface StagedContent {
  /** The copy, with the host's packages beside it: what a stack of its code names. */
  readonly home: string;
  /** The plugin's directory in it. */
  readonly directory: string;
  /** `sha256-` and base64, of all paths and bytes. */
  readonly contentHash: string;
}

const CHUNK_BYTES = 262_144;

/**
 * Private copies of plugins. What was checked and hashed is what runs, whatever happens to the directory afterwards; the
 * packages of the host are found beside it, wherever the directory is.
 */
export class Staging {
  #root: Promise<string> | undefined;
  #count = 0;
  #stopCleaning = (): void => undefined;

  constructor(
    private readonly parent: string,
    private readonly bounds: ContentBounds,
  ) {}

  /**
   * Copies a plugin.
   *
   * @throws PluginError 422 as {@link contentOf}, and `plugin_unreadable`
   */
  async stage(plugin: string, directory: string): Promise<StagedContent> {
    const entries = await readable(plugin, contentOf(plugin, directory, this.bounds));
    this.#root ??= this.#makeRoot();
    const home = join(await this.#root, String(++this.#count));
    try {
      const copy = join(home, 'plugin');
      await mkdir(copy, { recursive: true, mode: 0o700 });
      const contentHash = await readable(plugin, this.#copy(plugin, directory, copy, entries));
      return { home, directory: copy, contentHash };
    } catch (error) {
      await this.discard(home);
      throw error;
    }
  }

  /** Puts packages of the host beside a copy, for it to import. */
  async link(home: string, peers: readonly PeerLink[]): Promise<void> {
    for (const { name, directory } of peers) {
      const link = join(home, 'node_modules', name);
      await mkdir(dirname(link), { recursive: true, mode: 0o700 });
      await symlink(directory, link, 'junction');
    }
  }

  /** Removes one copy. */
  async discard(home: string): Promise<void> {
    await rm(home, { recursive: true, force: true });
  }

  /** Removes all of them. */
  async remove(): Promise<void> {
    const root = await this.#root?.catch(() => undefined);
    this.#root = undefined;
    this.#stopCleaning();
    if (root !== undefined) await rm(root, { recursive: true, force: true });
  }

  async #makeRoot(): Promise<string> {
    await mkdir(this.parent, { recursive: true });
    // For this user only, as mkdtemp makes it. As stacks have it: with all links followed.
    const root = await realpath(await mkdtemp(join(this.parent, 'baton-plugins-')));
    const clean = (): void => rmSync(root, { recursive: true, force: true });
    // Also when the process ends without a shutdown of the application.
    process.once('exit', clean);
    this.#stopCleaning = () => void process.off('exit', clean);
    return root;
  }

  async #copy(plugin: string, from: string, to: string, entries: readonly ContentEntry[]): Promise<string> {
    const hash = createHash('sha256');
    let bytes = 0;
    for (const { path, kind, target = '', isExecutable } of entries) {
      // Lengths, so that no two contents are written the same.
      hash.update(`${kind} ${Buffer.byteLength(path)} ${path} ${Buffer.byteLength(target)} ${target}\n`);
      if (kind === 'directory') await mkdir(join(to, path), { mode: 0o700 });
      else if (kind === 'link') await symlink(target, join(to, path));
      else {
        bytes += await copyFile(join(from, path), join(to, path), isExecutable, this.bounds.maxBytes - bytes, hash);
        if (bytes > this.bounds.maxBytes) throw grew(plugin, path);
      }
    }
    return `sha256-${hash.digest('base64')}`;
  }
}

/** @returns how many bytes it has; more than `maxBytes` when it is larger than that. */
async function copyFile(
  from: string,
  to: string,
  isExecutable: boolean,
  maxBytes: number,
  hash: Hash,
): Promise<number> {
  // What became a link or a pipe since it was looked at is neither followed nor waited for.
  const source = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (!(await source.stat()).isFile()) throw new Error(`${from} is no file any more`);
    const target = await open(to, 'wx', isExecutable ? 0o700 : 0o600);
    try {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const digest = createHash('sha256');
      let bytes = 0;
      for (;;) {
        const { bytesRead } = await source.read(chunk, 0, CHUNK_BYTES);
        bytes += bytesRead;
        if (bytesRead === 0 || bytes > maxBytes) break;
        digest.update(chunk.subarray(0, bytesRead));
        await target.writeFile(chunk.subarray(0, bytesRead));
      }
      hash.update(digest.digest());
      return bytes;
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function readable<T>(plugin: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof PluginError) throw error;
    throw new PluginError({
      plugin,
      code: 'plugin_unreadable',
      reason: `its files cannot be copied (${saidBy(error)})`,
      fix: 'Let Baton read all of them, do not change them meanwhile, and see that there is room for a copy.',
      cause: error,
    });
  }
}

function grew(plugin: string, path: string): PluginError {
  return new PluginError({
    plugin,
    code: 'plugin_too_large',
    reason: `${path} became larger while it was copied`,
    fix: 'Do not change it meanwhile.',
  });
}
