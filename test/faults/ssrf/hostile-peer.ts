import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How a hostile peer answers an inference request. */
export type HostileAnswer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server that was an engine once, and now answers what a test wants. */
export class HostilePeer {
  answer: HostileAnswer = (_request, response) => response.writeHead(500).end();
  #asked = 0;
  readonly #server = createServer((request, response) => {
    request.resume();
    if (request.method !== 'POST') return void response.end('{}');
    this.#asked += 1;
    request.on('end', () => this.answer(request, response));
  });

  static async start(): Promise<HostilePeer> {
    const peer = new HostilePeer();
    await once(peer.#server.listen(0, '127.0.0.1'), 'listening');
    return peer;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Inference requests that it was sent. */
  get asked(): number {
    return this.#asked;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** A whole answer of the api that `path` is of, with a handoff. */
export function handingOver(path: string, params: Readonly<Record<string, unknown>>): string {
  const choice = {
    index: 0,
    finish_reason: 'length',
    text: 'a',
    message: { role: 'assistant', content: 'a' },
    token_ids: [1],
  };
  return JSON.stringify({
    ...{ id: 'x', request_id: 'x', object: path, created: 1, model: 'sim', choices: [choice] },
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    kv_transfer_params: { do_remote_prefill: true, do_remote_decode: false, remote_engine_id: 'e', ...params },
  });
}
