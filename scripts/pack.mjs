/** Packs libraries as npm publishes them. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './setup.mjs';

const TIMEOUT_MS = 2 * 60_000;

/** Runs npm, whatever started this process. Rejects with an error whose message holds what npm said. */
export async function npm(args, options = {}) {
  const cli = process.env['npm_execpath'];
  const [command, ...before] = cli?.endsWith('.js') ? [process.execPath, cli] : ['npm'];
  try {
    const { stdout } = await promisify(execFile)(command, [...before, ...args], {
      cwd: ROOT,
      timeout: TIMEOUT_MS,
      maxBuffer: 64 * 1024 * 1024,
      // On Windows npm is a script, which needs a shell.
      shell: command === 'npm' && process.platform === 'win32',
      ...options,
    });
    return stdout;
  } catch (error) {
    const said = `${error.stdout ?? ''}${error.stderr ?? ''}`.trim();
    throw new Error(`npm ${args.join(' ')} failed.\n${said || error.message}`, { cause: error });
  }
}

/**
 * @param {readonly string[]} libraries names of folders in `libs`
 * @returns of each its `library`, its `tarball`'s path, and its `files`, from the package's root.
 */
export async function packLibraries(libraries, directory) {
  const nameOf = (library) => JSON.parse(readFileSync(`${ROOT}libs/${library}/package.json`, 'utf8')).name;
  const workspaces = libraries.flatMap((library) => ['--workspace', `libs/${library}`]);
  const said = await npm(['pack', '--json', '--ignore-scripts', '--pack-destination', directory, ...workspaces]);
  // Newer releases of npm answer with a map by name.
  const packed = Object.values(JSON.parse(said));
  return libraries.map((library) => {
    const { filename, files } = packed.find(({ name }) => name === nameOf(library));
    return { library, tarball: join(directory, filename), files: files.map(({ path }) => path) };
  });
}
