import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Logger, Module, type Provider } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { CoordinationModule } from '../coordination.module.js';
import type { CoordinationOptions } from '../coordination.options.js';
import { RequestManager } from '../managers/request-manager.decorator.js';
import { PluginImporter } from './import-plugin.js';
import { PluginHost } from './plugin-host.js';
import type { PluginsOptions } from './plugins-options.js';
import { PluginsModule } from './plugins.module.js';

/** What a plugin of a spec exports, or what its import does. */
export type Exports = () => unknown;

/** A module of those providers as the default export. */
export function moduleOf(providers: Provider[], more: object = {}): Exports {
  return () => {
    @Module({ providers })
    class PluginModule {}
    return { default: PluginModule, ...more };
  };
}

/** A manager that declines everything. */
export function managerNamed(name: string): new () => object {
  @RequestManager({ name, priority: -1 })
  class Manager {
    dispatch(): undefined {
      return undefined;
    }
  }
  return Manager;
}

/** An application with plugins in a directory of its own. What they export is said here: Jest imports nothing from outside. */
export class HostRig {
  readonly #exports = new Map<string, Exports>();
  readonly #modules: TestingModule[] = [];
  imported = 0;

  private constructor(readonly root: string) {}

  static async create(): Promise<HostRig> {
    Logger.overrideLogger(false);
    const root = await mkdtemp(join(tmpdir(), 'plugin-host-spec-'));
    await mkdir(join(root, 'plugins'));
    return new HostRig(root);
  }

  get plugins(): string {
    return join(this.root, 'plugins');
  }

  /** Puts a plugin down, in place of what was there. `line` makes the content another one. */
  async write(name: string, provides: readonly string[], exports: Exports, line = '1'): Promise<string> {
    const directory = join(this.plugins, name.replace('/', '-'));
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true });
    const json = { name, version: `1.0.${line}`, exports: './index.js', baton: { apiVersion: '^1.0.0', provides } };
    await writeFile(join(directory, 'package.json'), JSON.stringify(json));
    await writeFile(join(directory, 'index.js'), `// ${line}`);
    this.#exports.set(`${name}@${json.version}`, exports);
    return directory;
  }

  async application(
    plugins: Partial<PluginsOptions> = {},
    coordination: CoordinationOptions = {},
  ): Promise<TestingModule> {
    const module = await this.compile(plugins, coordination);
    return module.init();
  }

  async host(plugins: Partial<PluginsOptions> = {}, coordination: CoordinationOptions = {}): Promise<PluginHost> {
    return (await this.application(plugins, coordination)).get(PluginHost);
  }

  async compile(plugins: Partial<PluginsOptions>, coordination: CoordinationOptions): Promise<TestingModule> {
    const options = { directories: [this.plugins], stagingDirectory: join(this.root, 'staging'), ...plugins };
    const module = await Test.createTestingModule({
      imports: [CoordinationModule.forRoot(coordination), PluginsModule.forRoot(options)],
    })
      .overrideProvider(PluginImporter)
      .useValue({ import: (file: string) => this.#import(file) })
      .compile();
    this.#modules.push(module);
    return module;
  }

  /** What is staged, of all applications. */
  async staged(): Promise<readonly string[]> {
    const staging = join(this.root, 'staging');
    const roots = await readdir(staging).catch(() => []);
    return (await Promise.all(roots.map((root) => readdir(join(staging, root))))).flat();
  }

  async close(): Promise<void> {
    for (const module of this.#modules) await module.close();
    await rm(this.root, { recursive: true, force: true });
  }

  async #import(file: string): Promise<unknown> {
    this.imported += 1;
    const { name, version } = JSON.parse(await readFile(join(dirname(file), 'package.json'), 'utf8')) as {
      name: string;
      version: string;
    };
    return this.#exports.get(`${name}@${version}`)?.();
  }
}
