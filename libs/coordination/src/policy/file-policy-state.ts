import { randomUUID } from 'node:crypto';
import { link, lstat, mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ReplaySubject, type Observable } from 'rxjs';
import { isErrno } from './errno.js';
import { policiesTooLarge } from './policy-errors.js';
import { policyText, readPolicyText } from './policy-file.js';
import { watched } from './policy-watch.js';
import { DEFAULT_HISTORY, PolicyState, type PolicyVersion } from './policy-state.js';

const NAME = /^policy-([1-9]\d{0,14})\.json$/;
const TEMPORARY = /^\.policy-.*\.tmp$/;
const DEFAULT_POLL_MS = 1_000;
const MAX_BYTES = 4 * 1024 ** 2;
/** Whoever still writes a file of that age has crashed. */
const LEFTOVER_MS = 60_000;

const MAX_FAULTS = 16;

/** How a {@link FilePolicyState} behaves. */
export interface FilePolicyStateOptions {
  /** Longest time until a version of another process is noticed, in ms. Default 1,000 ms. */
  readonly pollMs?: number;
}

/**
 * Keeps each version as a file of its own, `policy-<version>.json`, in a directory that several processes may share. A file
 * gets its name when it is whole and on disk, and only if nobody else has taken that name, so that there is no lock and
 * nothing to repair after a crash. The latest 100 are kept.
 */
export class FilePolicyState extends PolicyState {
  readonly changed: Observable<void>;
  /** Also for who comes after the first look at the directory. */
  readonly #faults = new ReplaySubject<Error>(MAX_FAULTS);
  readonly faults: Observable<Error> = this.#faults.asObservable();
  /** What was read, by number; undefined for a file that is no version. The files never change. */
  #read = new Map<number, PolicyVersion | undefined>();
  #isGone = false;

  constructor(
    private readonly directory: string,
    { pollMs = DEFAULT_POLL_MS }: FilePolicyStateOptions = {},
  ) {
    super();
    if (directory === '') throw new Error('policyState.directory must be the path of a directory.');
    if (!Number.isSafeInteger(pollMs) || pollMs < 1)
      throw new Error('policyState.pollMs must be a whole number above 0.');
    this.changed = watched(directory, pollMs);
  }

  async versions(): Promise<readonly PolicyVersion[]> {
    return this.#versionsOf(await this.#numbers());
  }

  async #versionsOf(numbers: readonly number[]): Promise<readonly PolicyVersion[]> {
    const read = new Map<number, PolicyVersion | undefined>();
    for (const number of numbers.slice(-DEFAULT_HISTORY)) {
      // Another process may remove an old one while it is read: that is no fault of the file.
      const version = this.#read.has(number) ? this.#read.get(number) : await this.#readFile(number);
      if (version !== 'gone') read.set(number, version);
    }
    this.#read = read;
    return [...read.values()].filter((version) => version !== undefined);
  }

  async commit(
    after: number,
    make: (version: number) => PolicyVersion,
    signal?: AbortSignal,
  ): Promise<PolicyVersion | undefined> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    // One look for both: whoever commits after it takes the number that is chosen here, and this one fails.
    const numbers = await this.#numbers();
    if (((await this.#versionsOf(numbers)).at(-1)?.version ?? 0) > after) return undefined;
    // Beyond files that are no versions as well: their names are taken.
    const version = make(Math.max(after, numbers.at(-1) ?? 0) + 1);
    if (!(await this.#write(version, signal))) return undefined;
    // It is kept from here on, whatever else goes wrong.
    const latest = (await this.#numbers().catch(() => [])).at(-1) ?? 0;
    if (latest >= version.version + DEFAULT_HISTORY) {
      // So late that the name had been taken, and was free again since old versions are removed.
      await rm(this.#pathOf(version.version), { force: true });
      return undefined;
    }
    this.#read.set(version.version, version);
    await this.#prune(latest - DEFAULT_HISTORY);
    return version;
  }

  close(): Promise<void> {
    this.#faults.complete();
    return Promise.resolve();
  }

  /** The numbers of the files, ascending; none when the directory is gone. */
  async #numbers(): Promise<readonly number[]> {
    try {
      const numbers = await this.#listed();
      this.#isGone = false;
      // A look may miss a file that came while it went on, and see one that came after that: the next look sees both.
      const isWhole = numbers.every((number, index) => index === 0 || number === (numbers[index - 1] ?? 0) + 1);
      if (isWhole) return numbers;
      const latest = numbers.at(-1) ?? 0;
      return (await this.#listed()).filter((number) => number <= latest);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
      // Before the first commit there is none.
      if (this.#read.size > 0 && !this.#isGone) {
        this.#isGone = true;
        this.#faults.next(new Error(`The directory of the policies is gone: ${this.directory}. They stay in force.`));
      }
      return [];
    }
  }

  async #listed(): Promise<readonly number[]> {
    const names = await readdir(this.directory);
    return names
      .flatMap((name) => NAME.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  async #readFile(number: number): Promise<PolicyVersion | undefined | 'gone'> {
    const path = this.#pathOf(number);
    try {
      const status = await lstat(path);
      if (!status.isFile()) throw new Error('It is no regular file.');
      if (status.size > MAX_BYTES) throw new Error(`It has more than ${MAX_BYTES} bytes.`);
      return readPolicyText(await readFile(path, 'utf8'), number);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return 'gone';
      if (isErrno(error)) throw error;
      const why = error instanceof Error ? error.message : '';
      this.#faults.next(new Error(`${path} is no version of the policies and is skipped. ${why}`, { cause: error }));
      return undefined;
    }
  }

  /** @returns false when somebody else has the number. @throws InferenceError 413 `policies_too_large` */
  async #write(version: PolicyVersion, signal: AbortSignal | undefined): Promise<boolean> {
    const text = policyText(version);
    const bytes = Buffer.byteLength(text);
    if (bytes > MAX_BYTES) throw policiesTooLarge(bytes, MAX_BYTES);
    const path = this.#pathOf(version.version);
    const temporary = join(this.directory, `.policy-${version.version}-${randomUUID()}.tmp`);
    try {
      const file = await open(temporary, 'wx', 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      signal?.throwIfAborted();
      await link(temporary, path);
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      // A network file system that asks twice finds what it has made itself.
      if (!(await isSameFile(temporary, path))) return false;
    } finally {
      // What is left is removed with the next version.
      await rm(temporary, { force: true }).catch(() => undefined);
    }
    await this.#syncDirectory();
    return true;
  }

  /** So that the name outlives a loss of power too. Not every file system can. */
  async #syncDirectory(): Promise<void> {
    const directory = await open(this.directory, 'r').catch(() => undefined);
    await directory?.sync().catch(() => undefined);
    await directory?.close().catch(() => undefined);
  }

  /** Removes versions up to `last`, and what crashed writers left behind. What cannot be removed is tried again next time. */
  async #prune(last: number): Promise<void> {
    const names = await readdir(this.directory).catch(() => []);
    for (const name of names) {
      const path = join(this.directory, name);
      const number = Number(NAME.exec(name)?.[1] ?? Infinity);
      const isOld = number <= last || (TEMPORARY.test(name) && (await ageOf(path)) > LEFTOVER_MS);
      if (isOld) await rm(path, { force: true }).catch(() => undefined);
    }
  }

  #pathOf(number: number): string {
    return join(this.directory, `policy-${number}.json`);
  }
}

async function isSameFile(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([lstat(one), lstat(other)].map((status) => status.catch(() => undefined)));
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino;
}

async function ageOf(path: string): Promise<number> {
  const status = await lstat(path).catch(() => undefined);
  return status === undefined ? 0 : Date.now() - status.mtimeMs;
}
