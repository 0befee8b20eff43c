import { readdirSync, watch, type FSWatcher } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { userInfo } from 'node:os';
import type { InstanceProcess } from '../../support/instance-process.js';

/** One KV state that an embedded engine kept as a file. Times are `Date.now()`. */
export interface KvFile {
  readonly madeAtMs: number;
  removedAtMs?: number;
}

/** The KV states of an embedded engine, watched where they are, so that the engine is not asked. */
export class KvFiles {
  readonly #files = new Map<string, KvFile>();
  readonly #watcher: FSWatcher;

  private constructor(directory: string) {
    this.#watcher = watch(directory, (_event, name) => {
      if (name !== null) this.#look(directory, name);
    });
  }

  static async of(instance: InstanceProcess): Promise<KvFiles> {
    const root = `/dev/shm/baton-kv-${userInfo().uid}`;
    const own = (await readdir(root)).find((name) => name.startsWith(`${instance.pid}-`));
    if (own === undefined) throw new Error(`There is no directory of ${instance.pid} in ${root}.`);
    return new KvFiles(join(root, own));
  }

  /** All that there were, oldest first. */
  get all(): readonly KvFile[] {
    return [...this.#files.values()];
  }

  /** How many there are now. */
  get open(): number {
    return this.all.filter(({ removedAtMs }) => removedAtMs === undefined).length;
  }

  forget(): void {
    this.#files.clear();
  }

  close(): void {
    this.#watcher.close();
  }

  #look(directory: string, name: string): void {
    const isThere = readdirSync(directory).includes(name);
    const known = this.#files.get(name);
    if (known === undefined)
      this.#files.set(name, { madeAtMs: Date.now(), ...(!isThere && { removedAtMs: Date.now() }) });
    else if (!isThere) known.removedAtMs ??= Date.now();
  }
}
