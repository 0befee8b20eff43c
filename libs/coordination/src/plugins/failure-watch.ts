import { Injectable } from '@nestjs/common';
import type { Subscription } from 'rxjs';
import type { Generation } from './generation.js';
import { PluginBook } from './plugin-book.js';
import type { PluginError } from './plugin-error.js';
import { pluginFailed } from './plugin-faults.js';
import { PluginSwitch } from './plugin-switch.js';

const FIX = 'Mend it and load it again, or enable its managers in the policies.';

/** Counts what plugins do wrong, and has the managers of one that does so too often not asked any more. */
@Injectable()
export class FailureWatch {
  readonly #off = new Set<Generation>();
  readonly #switching = new Set<Generation>();

  constructor(
    private readonly book: PluginBook,
    private readonly switches: PluginSwitch,
  ) {}

  /** Notices when an operator has managers asked again. */
  start(): Subscription {
    return this.switches.changes.subscribe(() => {
      for (const generation of this.#off) if (this.switches.isOn(managersOf(generation))) this.#isOn(generation);
    });
  }

  /**
   * Something of `generation` went wrong.
   *
   * @param isCurrent whether it is what is loaded of its name.
   */
  failed(generation: Generation, error: PluginError, isCurrent: boolean): void {
    this.book.failed(generation.manifest, error);
    const isTooOften = generation.failures.failed();
    const hasManagers = generation.provisions.managers.length > 0;
    if (!isTooOften || !isCurrent || !hasManagers || this.#off.has(generation) || this.#switching.has(generation))
      return;
    this.#switching.add(generation);
    void this.#switchOff(generation, error).finally(() => this.#switching.delete(generation));
  }

  /** `generation` is not what is loaded any more. @returns whether its managers were switched off. */
  forget(generation: Generation): boolean {
    return this.#off.delete(generation);
  }

  /** Has the managers of `generation` asked: those of the one before it were switched off. */
  async revive(generation: Generation): Promise<void> {
    const { manifest } = generation;
    try {
      await this.switches.on(managersOf(generation), `The plugin ${manifest.name} was loaded again.`);
    } catch (error) {
      this.book.failed(manifest, pluginFailed(manifest.name, 'its managers could not be switched on', FIX, error));
    }
  }

  async #switchOff(generation: Generation, last: PluginError): Promise<void> {
    const { manifest } = generation;
    const { name } = manifest;
    const reason = `it failed ${generation.failures.limit} times within the window; the last time: ${last.reason}`;
    try {
      await this.switches.off(managersOf(generation), `The plugin ${name} is switched off: ${reason}.`);
    } catch (error) {
      this.book.failed(manifest, pluginFailed(name, 'its managers could not be switched off', FIX, error));
      return;
    }
    this.#off.add(generation);
    this.book.becomes(name, 'switched_off', { reason, fix: FIX });
  }

  #isOn(generation: Generation): void {
    this.#off.delete(generation);
    generation.failures.reset();
    this.book.becomes(generation.manifest.name, 'switched_on');
  }
}

const managersOf = ({ provisions }: Generation): readonly string[] => provisions.managers.map(({ name }) => name);
