import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Behaviour } from '../bodies/hostile-upstream.js';

/** One stream that an upstream writes as fast as it is taken. */
export interface Flooded {
  /** Bytes that this process has given to its socket. */
  written: number;
  isClosed: boolean;
}

const EVENTS_AT_ONCE = 64;

/**
 * Streams without an end, up to a bound: each is written as fast as its reader takes it, and counted. All of them wait
 * behind their first event until there are as many as expected: those that come first would take all the time there is.
 */
export class Flood {
  readonly streams: Flooded[] = [];
  readonly #all: Promise<void>;
  #begin: () => void = () => undefined;

  constructor(
    /** The events of the stream: the last of them without an end. */
    private readonly events: readonly Buffer[],
    private readonly expected: number,
    private readonly mostBytes = 64 * 1024 * 1024,
  ) {
    this.#all = new Promise((resolve) => (this.#begin = resolve));
  }

  readonly behave: Behaviour = async (_asked, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    await this.#write(response);
  };

  get written(): number {
    return this.streams.reduce((sum, { written }) => sum + written, 0);
  }

  get open(): number {
    return this.streams.filter(({ isClosed }) => !isClosed).length;
  }

  async #write(response: ServerResponse): Promise<void> {
    const stream: Flooded = { written: 0, isClosed: false };
    this.streams.push(stream);
    if (this.streams.length >= this.expected) this.#begin();
    for (const event of this.events) response.write(event);
    const lump = Buffer.concat(new Array<Buffer>(EVENTS_AT_ONCE).fill(this.events.at(-1)!));
    const gone = once(response, 'close').then(() => {
      stream.isClosed = true;
    });
    await Promise.race([this.#all, gone]);
    while (!stream.isClosed && stream.written < this.mostBytes) {
      stream.written += lump.length;
      if (!response.write(lump)) await Promise.race([once(response, 'drain'), gone]);
    }
    await gone;
  }
}
