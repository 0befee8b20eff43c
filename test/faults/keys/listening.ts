import { readdir, readFile, readlink } from 'node:fs/promises';

/** `listen` in `/proc/net/tcp`. */
const LISTEN = '0A';

/** Where a process listens, as `address:port`: its sockets are those of its descriptors. */
export async function listeningOf(pid: number): Promise<string[]> {
  const fds = await readdir(`/proc/${pid}/fd`);
  const links = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
  const inodes = new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8')));
  return tables
    .flatMap((table) => table.trim().split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === LISTEN && inode !== undefined && inodes.has(inode))
    .map(([, local = '']) => addressOf(local))
    .sort();
}

function addressOf(local: string): string {
  const [address = '', port = ''] = local.split(':');
  const isV4 = address.length === 8;
  // The four bytes of an IPv4 address are those of one number of this machine, the lowest first.
  const host = isV4 ? [6, 4, 2, 0].map((at) => Number.parseInt(address.slice(at, at + 2), 16)).join('.') : address;
  return `${host}:${Number.parseInt(port, 16)}`;
}
