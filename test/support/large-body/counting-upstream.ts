import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What an upstream was sent. */
export interface CountedRequest {
  /** Of the whole body. */
  readonly bytes: number;
  /** SHA-256 of the text of `token_ids`, brackets included. */
  readonly tokenDigest: string;
  /** The body without the token ids. */
  readonly rest: Readonly<Record<string, unknown>>;
}

const MARK = '"token_ids":';

/** TEST DOUBLE of an engine server's token endpoint that counts what it is sent and keeps none of it. */
export class CountingUpstream {
  readonly requests: CountedRequest[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  static async start(): Promise<CountingUpstream> {
    const upstream = new CountingUpstream();
    upstream.#server.listen(0, '127.0.0.1');
    await once(upstream.#server, 'listening');
    return upstream;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isInference = request.url === '/inference/v1/generate';
    const counted = isInference ? await count(request) : undefined;
    response.setHeader('content-type', 'application/json');
    if (counted === undefined) return void response.end('{}');
    this.requests.push(counted);
    response.end(JSON.stringify(answerTo(counted)));
  }
}

function answerTo({ rest }: CountedRequest): object {
  return {
    request_id: 'counted',
    model: rest['model'],
    choices: [{ index: 0, token_ids: [1], logprobs: null, finish_reason: 'length' }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  };
}

async function count(request: IncomingMessage): Promise<CountedRequest> {
  const hash = createHash('sha256');
  let bytes = 0;
  let [before, after] = ['', ''];
  let state: 'before' | 'within' | 'after' = 'before';
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    let tokens = chunk;
    if (state === 'before') {
      before += chunk.toString('latin1');
      const mark = before.indexOf(MARK);
      if (mark < 0) continue;
      tokens = Buffer.from(before.slice(mark + MARK.length), 'latin1');
      before = before.slice(0, mark + MARK.length);
      state = 'within';
    }
    if (state === 'within') {
      const end = tokens.indexOf(']') + 1;
      hash.update(end > 0 ? tokens.subarray(0, end) : tokens);
      if (end === 0) continue;
      tokens = tokens.subarray(end);
      state = 'after';
    }
    after += tokens.toString('latin1');
  }
  const text = Buffer.from(`${before}null${after}`, 'latin1').toString('utf8');
  const rest = JSON.parse(text) as Record<string, unknown>;
  return { bytes, tokenDigest: hash.digest('hex'), rest };
}
