import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';

const BLOCK_BYTES = 1024 * 1024;

/** The body of a generate request of a given size, nearly all of it token ids. It is made while it is sent. */
export class TokenBody {
  readonly #start: string;
  readonly #end: string;
  readonly #textBytes: number;
  /** Two thousand ids or so, and room for the number of the block, so that no two blocks are alike. */
  readonly #filling: string;

  /**
   * @param bytes length of the whole body, at least 2 MiB.
   * @param fields what else it has.
   */
  constructor(
    readonly bytes: number,
    fields: Readonly<Record<string, unknown>>,
  ) {
    this.#start = '{"token_ids":';
    this.#end = `,${JSON.stringify(fields).slice(1)}`;
    this.#textBytes = bytes - this.#start.length - Buffer.byteLength(this.#end);
    let filling = '';
    for (let id = 1; filling.length < BLOCK_BYTES; id = (id * 48_271) % 2_147_483_647) filling += `,${id % 128_000}`;
    this.#filling = filling;
  }

  /** SHA-256 of the text of the token ids, brackets included. */
  get tokenDigest(): string {
    const hash = createHash('sha256');
    for (const block of this.#blocks()) hash.update(block);
    return hash.digest('hex');
  }

  /** Sends it and resolves with the answer, read to its end. */
  async post(url: string): Promise<{ readonly status: number; readonly text: string }> {
    const headers = { 'content-type': 'application/json', 'content-length': this.bytes };
    const outgoing = request(url, { method: 'POST', headers });
    const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
    // An answer before the end of the body ends the sending: whatever it says, the test wants to see it.
    const early = answered.then(([answer]) => answer);
    outgoing.write(this.#start);
    for (const block of this.#blocks()) {
      if (!outgoing.write(block)) await Promise.race([once(outgoing, 'drain'), early]);
    }
    outgoing.end(this.#end);
    const answer = await early;
    let text = '';
    for await (const chunk of answer.setEncoding('utf8')) text += String(chunk);
    return { status: answer.statusCode ?? 0, text };
  }

  *#blocks(): Generator<string> {
    let left = this.#textBytes - 1;
    let opening = '[';
    for (let number = 0; left > this.#filling.length + 16; number += 1) {
      const block = `${opening}${number}${this.#filling}`;
      left -= block.length;
      opening = ',';
      yield block;
    }
    // What is left over is white space, which belongs to the text as well.
    yield `${' '.repeat(left)}]`;
  }
}
