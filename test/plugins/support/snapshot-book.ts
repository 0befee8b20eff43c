import type { AdminAnswer, AdminClient, ListedManager } from './admin-client.js';
import type { Seen } from './open-loop.js';

/** Managers that take every request of the load; the others decline where there is no engine. */
const TAKERS = ['prefill-remote-decode-remote', 'remote'];

/** The policy tables that a script has seen, by the name that answers give as `x-baton-policy-version`. */
export class SnapshotBook {
  readonly #tables = new Map<string, readonly ListedManager[]>();

  /** Writes down the present table. @returns its name. */
  async note(admin: AdminClient): Promise<string> {
    return this.add(await admin.policies());
  }

  /** Writes down the table that an answer of an admin route has. */
  add({ body }: AdminAnswer): string {
    const { snapshot, managers } = body as { snapshot?: string; managers?: readonly ListedManager[] };
    if (snapshot === undefined || managers === undefined) throw new Error(`No table: ${JSON.stringify(body)}`);
    this.#tables.set(snapshot, managers);
    return snapshot;
  }

  get size(): number {
    return this.#tables.size;
  }

  has(snapshot: string): boolean {
    return this.#tables.has(snapshot);
  }

  /** What is wrong with an answer; undefined when the manager that its snapshot says has given it. */
  complaint({ snapshot, manager, signature }: Seen): string | undefined {
    const table = this.#tables.get(snapshot);
    if (table === undefined) return `snapshot ${snapshot} is not known`;
    const first = this.#firstOf(table);
    const expected = `${first?.name} (${signed(first)})`;
    const seen = `${manager} (${signature ?? 'unsigned'})`;
    return seen === expected ? undefined : `snapshot ${snapshot} says ${expected}, answered by ${seen}`;
  }

  #firstOf(table: readonly ListedManager[]): ListedManager | undefined {
    return table
      .filter(({ name, origin, enabled }) => enabled && (origin !== 'in-tree' || TAKERS.includes(name)))
      .sort((a, b) => a.priority - b.priority || (a.name < b.name ? -1 : 1))[0];
  }
}

/** Managers that tests write sign with their origin; those of Baton do not sign. */
const signed = (entry: ListedManager | undefined): string =>
  entry === undefined || entry.origin === 'in-tree' ? 'unsigned' : entry.origin;
