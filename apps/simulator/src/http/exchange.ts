import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { badRequest } from '../engine/engine-error.js';
import { Gone } from '../engine/engine-error.js';
import { isObject, parseJson, stringifyJson, type JsonObject } from '../json.js';

/** One HTTP request and its answer. */
export class Exchange {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly #gone = new AbortController();
  #body: Promise<Buffer> | undefined;

  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
  ) {
    const url = new URL(request.url ?? '/', 'http://simulator');
    this.path = url.pathname;
    this.query = url.searchParams;
    response.on('close', () => {
      if (!response.writableFinished) this.#gone.abort(new Gone('the client left'));
    });
  }

  get method(): string {
    return this.request.method ?? 'GET';
  }

  get headers(): IncomingHttpHeaders {
    return this.request.headers;
  }

  /** A header that came once. */
  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return typeof value === 'string' ? value : undefined;
  }

  /** Aborts when the client leaves before its answer is complete. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  body(): Promise<Buffer> {
    return (this.#body ??= read(this.request));
  }

  /** @throws EngineError 400 unless the body is a JSON object. */
  async json(): Promise<JsonObject> {
    const text = (await this.body()).toString('utf8');
    let parsed: unknown;
    try {
      parsed = parseJson(text);
    } catch (error) {
      throw badRequest(`The body is not JSON: ${String(error)}`);
    }
    if (!isObject(parsed)) throw badRequest('The body must be a JSON object.');
    return parsed;
  }

  /** Answers whole: an object as JSON, a string as it is. */
  send(status: number, body: object | string | undefined, headers: Record<string, string> = {}): void {
    if (this.response.headersSent || this.response.destroyed) return;
    const isText = typeof body === 'string';
    const text = body === undefined ? '' : isText ? body : stringifyJson(body);
    this.response.writeHead(status, {
      ...(body !== undefined && { 'content-type': isText ? 'text/plain; charset=utf-8' : 'application/json' }),
      'content-length': String(Buffer.byteLength(text)),
      ...headers,
    });
    this.response.end(text);
  }
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}
