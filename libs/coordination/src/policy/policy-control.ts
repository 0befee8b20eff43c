import { InferenceError } from '@baton/inference';
import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { isDeepStrictEqual } from 'node:util';
import { Subject, Subscription, type Observable } from 'rxjs';
import { DispatchCounters } from '../dispatch/dispatch-counters.js';
import { CoordinationObserver } from '../observer.js';
import { ManagerRegistry } from '../registry/manager-registry.js';
import { changed, type PolicyChange, type PolicyOverrides } from './manager-policy.js';
import { auditOf, differences, type NoticedPolicyAudit, type PolicyAudit } from './policy-audit.js';
import { invalidPolicy, readPolicyChanges } from './policy-change.js';
import { policyBusy, policyStateUnavailable, unknownVersion, versionMismatch } from './policy-errors.js';
import type { PolicySnapshot } from './policy-snapshot.js';
import { DEFAULT_HISTORY, PolicyState, type ChangeAuthor, type PolicyVersion } from './policy-state.js';
import { SerialQueue } from './serial-queue.js';

/** Somebody else may commit first so many times in a row, when the caller did not say which version it expects. */
const MAX_ATTEMPTS = 16;

/**
 * The control plane of the policies: changes are atomic, have a version each, and are kept by the `PolicyState`. A request
 * that is under way stays on the snapshot that it started with.
 */
@Injectable()
export class PolicyControl implements OnModuleInit, OnApplicationShutdown {
  readonly #changes = new Subject<NoticedPolicyAudit>();
  readonly #queue = new SerialQueue();
  readonly #subscription = new Subscription();
  /** The versions that are known here, the oldest first, also when the state has lost them. */
  #known: readonly PolicyVersion[] = [];
  #isRefreshing = false;

  constructor(
    private readonly registry: ManagerRegistry,
    private readonly state: PolicyState,
    private readonly counters: DispatchCounters,
    private readonly observer: CoordinationObserver,
  ) {}

  /** What has come in force, of this process and of others that share the state, in ascending order. Never fails. */
  get changes(): Observable<NoticedPolicyAudit> {
    return this.#changes.asObservable();
  }

  /** @throws Error when the state cannot be read, so that the application does not start with other policies than it had. */
  async onModuleInit(): Promise<void> {
    this.#subscription.add(this.state.faults.subscribe((error) => this.observer.policyStateFailed(error)));
    await this.#queue.run(() => this.#refresh());
    this.#subscription.add(this.state.changed.subscribe(() => this.#refreshSoon()));
  }

  async onApplicationShutdown(): Promise<void> {
    this.#subscription.unsubscribe();
    await this.state.close();
    this.#changes.complete();
  }

  /** What is in force for requests that come now. */
  current(): PolicySnapshot {
    const { all, entries, version: id } = this.registry.table;
    const asked = entries.filter(({ containment }) => containment?.isOff !== true);
    const managers = all.map(({ manager: _manager, containment, ...entry }) => {
      const index = asked.findIndex(({ name }) => name === entry.name);
      return {
        ...entry,
        isSwitchedOff: containment?.isOff === true,
        position: index < 0 ? null : index + 1,
        counters: this.counters.of(entry.name),
      };
    });
    const names = new Set(all.map(({ name }) => name));
    const absent = [...this.#overrides.keys()].filter((name) => !names.has(name)).sort();
    return { version: this.#version, id, managers, absent };
  }

  /**
   * Changes the policies of several managers at once; all of it or nothing. What changes nothing makes no version.
   *
   * @param expectedVersion the version that it was decided on; undefined for whatever is in force.
   * @returns the policies after the change.
   * @throws InferenceError 400 `invalid_policy`, 412 `policy_version_mismatch`, 503 `policy_busy` or
   *   `policy_state_unavailable`
   */
  async change(changes: readonly PolicyChange[], by: ChangeAuthor, expectedVersion?: number): Promise<PolicySnapshot> {
    const checked = readPolicyChanges(changes);
    return this.#queue.run(() =>
      this.#commit('change', by, expectedVersion, (overrides) => {
        this.#assertKnown(checked, overrides);
        return changed(overrides, checked);
      }),
    );
  }

  /**
   * Puts the policies of an earlier version in force again, as a new version. Version 0 is what decorators and configuration
   * say.
   *
   * @throws InferenceError 404 `unknown_policy_version` for one that is not kept any more; otherwise as {@link change}.
   */
  async rollback(version: number, by: ChangeAuthor, expectedVersion?: number): Promise<PolicySnapshot> {
    return this.#queue.run(() => this.#commit('rollback', by, expectedVersion, () => this.#overridesOf(version)));
  }

  /** The changes that are kept, the latest first. */
  async history(): Promise<readonly PolicyAudit[]> {
    await this.#queue.run(() => this.#refresh());
    return this.#known.map(auditOf).reverse();
  }

  async #commit(
    action: PolicyVersion['action'],
    by: ChangeAuthor,
    expectedVersion: number | undefined,
    edit: (overrides: PolicyOverrides) => PolicyOverrides,
  ): Promise<PolicySnapshot> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      await this.#refresh();
      if (expectedVersion !== undefined && expectedVersion !== this.#version) {
        throw versionMismatch(expectedVersion, this.#version);
      }
      const before = this.#overrides;
      const overrides = edit(before);
      if (isDeepStrictEqual(overrides, before)) return this.current();
      const diff = differences(before, overrides, (name, of) => this.registry.policyOf(name, of));
      const make = (version: number): PolicyVersion => ({
        version,
        at: new Date().toISOString(),
        who: by.who,
        reason: by.reason,
        action,
        diff,
        snapshot: `${version}.${this.registry.table.revision}`,
        overrides,
      });
      const committed = await this.#asked((signal) => this.state.commit(this.#version, make, signal));
      if (committed === undefined) continue;
      this.#putInForce(committed, true);
      return this.current();
    }
    throw policyBusy();
  }

  /** Takes over what other processes have committed. */
  async #refresh(): Promise<void> {
    const versions = await this.#asked(() => this.state.versions());
    for (const version of versions) {
      if (version.version > this.#version) this.#putInForce(version, false);
    }
  }

  #refreshSoon(): void {
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    this.#queue
      .run(() => {
        this.#isRefreshing = false;
        return this.#refresh();
      })
      .catch((error: unknown) => {
        this.#isRefreshing = false;
        this.observer.policyStateFailed(error instanceof Error ? error : new Error('The policy state failed.'));
      });
  }

  #putInForce(version: PolicyVersion, isOwn: boolean): void {
    this.#known = [...this.#known, version].slice(-DEFAULT_HISTORY);
    const { version: snapshot } = this.registry.govern(version.version, version.overrides);
    // Managers may have come or gone since it was made.
    this.#changes.next({ ...auditOf(version), ...(isOwn && { snapshot }), isOwn });
  }

  #assertKnown(changes: readonly PolicyChange[], overrides: PolicyOverrides): void {
    const index = changes.findIndex(({ name }) => !this.registry.isKnown(name) && !overrides.has(name));
    const manager = changes[index]?.name;
    if (manager === undefined) return;
    const problem = `names no manager; known: ${this.registry.names().join(', ') || 'none'}`;
    throw invalidPolicy({ manager, at: `managers[${index}].name`, problem });
  }

  #overridesOf(version: number): PolicyOverrides {
    if (version === 0) return new Map();
    const known = this.#known.find((kept) => kept.version === version);
    if (known === undefined) throw unknownVersion(version);
    return known.overrides;
  }

  /** What a state of somebody's own throws is meant for the log. */
  async #asked<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await this.#queue.inTime(ask);
    } catch (error) {
      throw error instanceof InferenceError ? error : policyStateUnavailable(error);
    }
  }

  get #version(): number {
    return this.#known.at(-1)?.version ?? 0;
  }

  get #overrides(): PolicyOverrides {
    return this.#known.at(-1)?.overrides ?? new Map();
  }
}
