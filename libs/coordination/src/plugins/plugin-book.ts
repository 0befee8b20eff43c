import { Injectable } from '@nestjs/common';
import { ReplaySubject, type Observable } from 'rxjs';
import type { FailureWindow } from './failure-window.js';
import type { PluginError } from './plugin-error.js';
import type { PluginEvent, PluginFault, PluginState } from './plugin-state.js';

/** What is written down of a plugin. */
interface Entry extends Omit<PluginState, 'failures'> {
  /** Of being loaded. */
  readonly loadFailures: number;
  /** Of what is loaded, or was last. */
  readonly window?: FailureWindow;
}

/** What a plugin is, without what became of it. */
export type PluginIdentity = Pick<PluginState, 'name' | 'version' | 'provides' | 'directory' | 'contentHash'>;

/** So much is told to whoever asks later, such as a log that comes after the plugins. */
const REMEMBERED = 256;
/** Directories that come and go under ever new names are not written down for ever. */
const MAX_ENTRIES = 1_000;

/** What is known of plugins, and what happens to them. */
@Injectable()
export class PluginBook {
  readonly #entries = new Map<string, Entry>();
  readonly #events = new ReplaySubject<PluginEvent>(REMEMBERED);
  readonly #faults = new ReplaySubject<PluginFault>(REMEMBERED);

  get events(): Observable<PluginEvent> {
    return this.#events.asObservable();
  }

  get faults(): Observable<PluginFault> {
    return this.#faults.asObservable();
  }

  get(name: string): PluginState | undefined {
    const entry = this.#entries.get(name);
    return entry && stateOf(entry);
  }

  list(): readonly PluginState[] {
    return [...this.#entries.values()].map(stateOf).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  loaded(identity: PluginIdentity, window: FailureWindow, isReplaced: boolean, who?: string): void {
    const loads = (this.#entries.get(identity.name)?.loads ?? 0) + 1;
    const loadedAt = new Date().toISOString();
    this.#write({ ...identity, status: 'loaded', loads, loadFailures: 0, loadedAt, window });
    this.#tell(isReplaced ? 'replaced' : 'loaded', identity, who);
  }

  /** It could not be loaded. What is loaded of that name stays as it is. */
  refused(identity: PluginIdentity, error: PluginError, isLoaded: boolean, who?: string): void {
    const before = this.#entries.get(identity.name);
    const { code, reason, fix } = error;
    if (!isLoaded) {
      const loadFailures = (before?.loadFailures ?? 0) + 1;
      const { loads = 0, loadedAt } = before ?? {};
      this.#write({ ...identity, status: 'refused', loads, loadFailures, loadedAt, code, reason, fix });
    }
    this.failed(identity, error);
    this.#tell('refused', identity, who, reason);
  }

  /** Something of it went wrong. */
  failed({ name, version }: Pick<PluginIdentity, 'name' | 'version'>, error: PluginError): void {
    const { code, reason, fix, cause } = error;
    this.#faults.next({ plugin: name, version, code, reason, fix, ...(cause !== undefined && { cause }) });
  }

  /** Puts it into another state. */
  becomes(
    name: string,
    status: Extract<PluginEvent['action'], 'switched_off' | 'draining' | 'unloaded'>,
    why: { readonly reason?: string; readonly fix?: string; readonly who?: string } = {},
  ): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    const { reason, fix, who } = why;
    this.#write({ ...entry, status, reason, fix, code: undefined });
    this.#tell(status, entry, who, reason);
  }

  /** Forgets those that take no part and whose directory is gone. */
  keepOnly(names: ReadonlySet<string>): void {
    for (const { name, status } of this.#entries.values()) {
      if (!names.has(name) && (status === 'refused' || status === 'unloaded')) this.#entries.delete(name);
    }
  }

  close(): void {
    this.#events.complete();
    this.#faults.complete();
  }

  #write(entry: Entry): void {
    this.#entries.set(entry.name, entry);
    for (const { name, status } of this.#entries.values()) {
      if (this.#entries.size <= MAX_ENTRIES) return;
      if (name !== entry.name && (status === 'refused' || status === 'unloaded')) this.#entries.delete(name);
    }
  }

  #tell(action: PluginEvent['action'], identity: PluginIdentity, who?: string, reason?: string): void {
    const { name: plugin, version, contentHash } = identity;
    const at = new Date().toISOString();
    this.#events.next({
      ...{ action, plugin, version, contentHash, at },
      ...(who !== undefined && { who }),
      ...(reason !== undefined && { reason }),
    });
  }
}

function stateOf({ loadFailures, window, ...entry }: Entry): PluginState {
  return { ...entry, failures: loadFailures + (window?.count ?? 0) };
}
