import { lstat, readdir, readlink, realpath } from 'node:fs/promises';
import { join, relative, sep, isAbsolute } from 'node:path';
import { WRITABLE_BY_ALL, writableByAll } from './find-plugins.js';
import { isHostPackage } from './host-packages.js';
import { PluginError, type PluginErrorCode } from './plugin-error.js';
import { saidBy } from './within.js';

/** A directory, a file or a link of a plugin; `path` is from its directory, with `/`. */
export interface ContentEntry {
  readonly path: string;
  readonly kind: 'directory' | 'file' | 'link';
  readonly isExecutable: boolean;
  /** Of a link: where it leads, from where it is. Inside of the plugin. */
  readonly target?: string;
}

/** How large a plugin may be. */
export interface ContentBounds {
  readonly maxFiles: number;
  readonly maxBytes: number;
}

/** What is no part of what a plugin is. */
const LEFT_OUT = new Set(['.git']);

/**
 * Everything in the directory of a plugin, sorted by path, without opening any of it.
 *
 * @throws PluginError 422 for links that lead out, special files, copies of host packages, what everybody may write to, and
 *   too much of it.
 */
export async function contentOf(
  plugin: string,
  directory: string,
  { maxFiles, maxBytes }: ContentBounds,
): Promise<readonly ContentEntry[]> {
  const found: ContentEntry[] = [];
  const root = await realpath(directory);
  let bytes = 0;
  const refuse = (code: PluginErrorCode, reason: string, fix: string, cause?: unknown): PluginError =>
    new PluginError({ plugin, code, reason, fix, cause });

  const visit = async (folder: string): Promise<void> => {
    for (const name of (await readdir(join(root, folder))).sort()) {
      const path = folder === '' ? name : `${folder}/${name}`;
      if (LEFT_OUT.has(path)) continue;
      if (found.length >= maxFiles) {
        throw refuse(
          'plugin_too_large',
          `it has more than ${maxFiles} files`,
          'Leave out what it does not need to run.',
        );
      }
      const copied = hostPackageAt(path);
      if (copied !== undefined) {
        throw refuse(
          'plugin_own_host_copy',
          `it brings its own copy of ${copied}, in ${path}`,
          'Make that a peer dependency, and install what it brings with npm install --omit=dev --omit=peer.',
        );
      }
      const stats = await lstat(join(root, path));
      if (!stats.isSymbolicLink() && (stats.mode & WRITABLE_BY_ALL) !== 0)
        throw writableByAll(plugin, join(root, path));
      const isExecutable = (stats.mode & 0o100) !== 0;
      if (stats.isSymbolicLink()) {
        found.push({ path, kind: 'link', isExecutable: false, target: await insideTarget(root, path, refuse) });
      } else if (stats.isDirectory()) {
        found.push({ path, kind: 'directory', isExecutable });
        await visit(path);
      } else if (stats.isFile()) {
        bytes += stats.size;
        if (bytes > maxBytes) {
          throw refuse(
            'plugin_too_large',
            `it has more than ${maxBytes} bytes`,
            'Leave out what it does not need to run.',
          );
        }
        found.push({ path, kind: 'file', isExecutable });
      } else {
        throw refuse('plugin_special_file', `${path} is neither a file nor a directory`, 'Remove it.');
      }
    }
  };

  if (((await lstat(root)).mode & WRITABLE_BY_ALL) !== 0) throw writableByAll(plugin, root);
  await visit('');
  return found;
}

type Refusal = (code: PluginErrorCode, reason: string, fix: string, cause?: unknown) => PluginError;

/** The package of the host that a path is the directory of. */
function hostPackageAt(path: string): string | undefined {
  const [, name] = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(path) ?? [];
  return name !== undefined && isHostPackage(name) ? name : undefined;
}

async function insideTarget(root: string, path: string, refuse: Refusal): Promise<string> {
  const said = await readlink(join(root, path));
  const target = await realpath(join(root, path)).catch((error: unknown) => {
    throw refuse('plugin_link_outside', `the link ${path} leads nowhere (${saidBy(error)})`, 'Remove it.', error);
  });
  const inside = relative(root, target);
  if (inside === '' || inside.split(sep)[0] === '..' || isAbsolute(inside)) {
    throw refuse(
      'plugin_link_outside',
      `the link ${path} leads to ${said}, out of its directory`,
      'Put a copy of what it means in its place, or remove it.',
    );
  }
  return relative(join(root, path, '..'), target);
}
