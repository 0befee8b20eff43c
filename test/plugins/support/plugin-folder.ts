import { cp, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FIXTURES = fileURLToPath(new URL('../../fixtures/plugins/', import.meta.url));

/** What a repository cannot hold: made where a fixture is put down. */
const FINISHING: Readonly<Record<string, (directory: string) => Promise<void>>> = {
  // Git leaves node_modules out.
  'own-copy-of-nest-common': (directory) => rename(join(directory, 'host-copies'), join(directory, 'node_modules')),
  'link-out-of-folder': (directory) => symlink('/etc/hostname', join(directory, 'secrets.txt')),
};

/** Texts by path in a plugin's directory. */
export type PluginFiles = Readonly<Record<string, string>>;

/** A directory of plugins outside of the repository, as an operator has one. */
export class PluginFolder {
  private constructor(readonly path: string) {}

  static async create(): Promise<PluginFolder> {
    return new PluginFolder(await mkdtemp(join(tmpdir(), 'baton-plugins-')));
  }

  /** Drops a copy of a fixture. @returns the plugin's directory. */
  async drop(fixture: string): Promise<string> {
    const directory = join(this.path, fixture);
    await rm(directory, { recursive: true, force: true });
    await cp(join(FIXTURES, fixture), directory, { recursive: true });
    await FINISHING[fixture]?.(directory);
    return directory;
  }

  /** Drops a plugin that is written here; it replaces what was there. @returns the plugin's directory. */
  async write(directoryName: string, files: PluginFiles): Promise<string> {
    const directory = join(this.path, directoryName);
    await rm(directory, { recursive: true, force: true });
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(directory, path)), { recursive: true });
      await writeFile(join(directory, path), text);
    }
    return directory;
  }

  async remove(directoryName: string): Promise<void> {
    await rm(join(this.path, directoryName), { recursive: true, force: true });
  }

  async delete(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}
