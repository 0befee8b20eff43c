import { once } from 'node:events';
import { Agent, createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EngineError } from '../engine/engine-error.js';
import { isObject, parseJson, stringifyJson, type JsonObject } from '../json.js';

/** Answers a call of the side channel; `signal` aborts when the caller has left. */
export type SideHandler = (body: JsonObject, signal: AbortSignal) => Promise<JsonObject> | JsonObject;

/** JSON over HTTP between simulators: what RDMA, NCCL and ZMQ are in the field. A port of its own, not the API's. */
export class SideChannel {
  readonly #server;

  /** `handlers` by method and path, like `POST /read`. */
  constructor(readonly handlers: Readonly<Record<string, SideHandler>>) {
    this.#server = createServer(
      { requestTimeout: 0, headersTimeout: 0 },
      (request, response) => void this.#serve(request, response),
    );
  }

  async listen(port: number, host: string): Promise<number> {
    this.#server.listen(port, host);
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const left = new AbortController();
    response.on('close', () => left.abort(new Error('the caller left')));
    const answer = (status: number, body: JsonObject): void => {
      if (response.destroyed) return;
      response.writeHead(status, { 'content-type': 'application/json', 'x-simulator': '1' }).end(stringifyJson(body));
    };
    try {
      const { pathname } = new URL(request.url ?? '/', 'http://side');
      const handler = this.handlers[`${request.method ?? 'GET'} ${pathname}`];
      if (handler === undefined) return answer(404, { error: 'Not Found' });
      answer(200, await handler(await bodyOf(request), left.signal));
    } catch (error) {
      answer(error instanceof EngineError ? error.status : 500, { error: String(error) });
    }
  }
}

/**
 * Calls another simulator's side channel. Fails with the signal's reason, or with whatever the call failed by.
 * Connections are not kept: what a call has to say must arrive or fail, not meet a closing socket.
 */
export async function callSide(
  url: string,
  body: JsonObject,
  signal?: AbortSignal,
  method = 'POST',
): Promise<JsonObject> {
  signal?.throwIfAborted();
  const text = method === 'GET' ? '' : stringifyJson(body);
  const sent = httpRequest(url, { method, agent: new Agent({ keepAlive: false }), signal });
  sent.end(text);
  try {
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const answer = await bodyOf(response);
    if (response.statusCode !== 200)
      throw new Error(`${url} answered ${response.statusCode}: ${stringifyJson(answer)}`);
    return answer;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

async function bodyOf(message: IncomingMessage): Promise<JsonObject> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  const parsed = text === '' ? {} : parseJson(text);
  return isObject(parsed) ? parsed : {};
}
