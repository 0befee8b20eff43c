import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { Observable } from 'rxjs';
import { TempFile } from './temp-file.js';

const SHARED_MEMORY = '/dev/shm';
const OWNER = /^(\d+)-[0-9a-f]+$/;
/** Directories of this process: another engine in it must not take them for leftovers. */
const ours = new Set<string>();

/** A directory for KV states that only this user can read. A state contains the prompt, so it is user data. */
export class PrivateDirectory {
  readonly path: string;
  #files = 0;

  private constructor(directory: string) {
    this.path = directory;
  }

  /**
   * Makes a fresh directory and removes what dead processes left behind, and an earlier life of this process id
   * (in a container every life has the id 1).
   *
   * @param parent where; empty for `/dev/shm` or the temporary folder.
   * @throws Error when the place belongs to somebody else.
   */
  static async create(parent = ''): Promise<PrivateDirectory> {
    const uid = userInfo().uid;
    const root = path.join(parent || (existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir()), `baton-kv-${uid}`);
    await mkdir(root, { recursive: true, mode: 0o700 });
    const found = await lstat(root);
    const isForeign = process.platform !== 'win32' && (found.uid !== uid || (found.mode & 0o077) !== 0);
    if (!found.isDirectory() || isForeign) throw new Error(`${root} is not a directory that only this user can read.`);
    await removeLeftovers(root);
    const own = path.join(root, `${process.pid}-${randomBytes(6).toString('hex')}`);
    ours.add(own);
    await mkdir(own, { mode: 0o700 });
    return new PrivateDirectory(own);
  }

  /** Files that exist now. */
  get fileCount(): number {
    return this.#files;
  }

  /** A place for one file. A resource: the file is removed when it is unsubscribed, unless it was handed over. */
  file(): Observable<TempFile> {
    return new Observable((subscriber) => {
      this.#files += 1;
      const file = new TempFile(path.join(this.path, randomUUID()), () => (this.#files -= 1));
      subscriber.add(() => file.release());
      subscriber.next(file);
    });
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    ours.delete(this.path);
  }
}

async function removeLeftovers(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    const directory = path.join(root, name);
    const pid = Number(OWNER.exec(name)?.[1]);
    if (!Number.isInteger(pid) || ours.has(directory) || (pid !== process.pid && isAlive(pid))) continue;
    await rm(directory, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: there is such a process, of somebody else.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
