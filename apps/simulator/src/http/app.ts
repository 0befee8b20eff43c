import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { EngineError, Gone } from '../engine/engine-error.js';
import type { FaultSet } from '../faults/fault-set.js';
import type { Leg } from '../faults/fault.js';
import type { JsonObject } from '../json.js';
import { InferenceAnswer } from './answer.js';
import { nestedError, type ErrorWriter } from './error-body.js';
import { Exchange } from './exchange.js';
import { Faulted } from './faulted.js';
import type { Journal } from './journal.js';
import { leave } from './request-record.js';

type Handler = (exchange: Exchange) => Promise<void> | void;

/** An endpoint that runs the model: its requests are recorded and can be made to misbehave. */
export interface InferenceRoute {
  readonly api: string;
  /** What the request is in a pair of legs. */
  leg(body: JsonObject, exchange: Exchange): Leg;
  /** Answers. What it throws as an EngineError is written in the dialect's shape, as a status or as an event. */
  run(answer: InferenceAnswer): Promise<void>;
}

/** Options of {@link App}. */
export interface AppOptions {
  readonly journal: Journal;
  readonly faults: FaultSet;
  /** Asked for on the paths that the dialect protects. */
  readonly apiKey: string | undefined;
  readonly keepAliveMs: number;
  readonly log: (message: string, facts: JsonObject) => void;
}

/** The HTTP server: routes, the API key, records, errors. */
export class App {
  /** How the dialect writes errors. */
  errorBody: ErrorWriter = nestedError;
  /** Which paths ask for the API key. */
  protects: (path: string) => boolean = (path) => path.startsWith('/v1');
  readonly #routes = new Map<string, Handler>();
  readonly #patterns: { readonly method: string; readonly pattern: RegExp; readonly handler: Handler }[] = [];
  #open = 0;
  #sockets = 0;
  readonly #server;

  constructor(readonly options: AppOptions) {
    this.#server = createServer(
      { keepAliveTimeout: options.keepAliveMs, requestTimeout: 0, headersTimeout: 0 },
      (request, response) => void this.#serve(request, response),
    );
    this.#server.on('connection', (socket) => {
      this.#sockets += 1;
      socket.on('close', () => (this.#sockets -= 1));
    });
  }

  /** Exchanges that are not over. */
  get open(): number {
    return this.#open;
  }

  get sockets(): number {
    return this.#sockets;
  }

  route(method: string, path: string | RegExp, handler: Handler): void {
    if (typeof path === 'string') this.#routes.set(`${method} ${path}`, handler);
    else this.#patterns.push({ method, pattern: path, handler });
  }

  inference(path: string, route: InferenceRoute): void {
    this.route('POST', path, (exchange) => this.#infer(exchange, route));
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
    this.#open += 1;
    response.setHeader('x-simulator', '1');
    response.on('error', () => undefined);
    let exchange: Exchange | undefined;
    try {
      exchange = new Exchange(request, response);
      this.#authorize(exchange);
      const handler = this.#handlerOf(exchange);
      if (handler === undefined) throw new EngineError(404, 'Not Found', null, 'Not Found');
      await handler(exchange);
    } catch (error) {
      if (error instanceof EngineError) exchange?.send(error.status, this.errorBody(error));
      else if (!(error instanceof Gone) && !response.destroyed) {
        this.options.log('request failed', { path: request.url, error: String(error) });
        exchange?.send(500, this.errorBody(new EngineError(500, String(error))));
      }
    } finally {
      this.#open -= 1;
    }
  }

  #handlerOf({ method, path }: Exchange): Handler | undefined {
    return (
      this.#routes.get(`${method} ${path}`) ??
      this.#patterns.find((route) => route.method === method && route.pattern.test(path))?.handler
    );
  }

  #authorize(exchange: Exchange): void {
    const { apiKey } = this.options;
    if (apiKey === undefined || !this.protects(exchange.path)) return;
    if (exchange.header('authorization') !== `Bearer ${apiKey}`)
      throw new EngineError(401, 'Unauthorized', null, 'Unauthorized');
  }

  async #infer(exchange: Exchange, route: InferenceRoute): Promise<void> {
    const { journal, faults } = this.options;
    const body = await exchange.json();
    const leg = route.leg(body, exchange);
    const requestId = exchange.header('x-request-id');
    const befalls = faults.befall({ leg, path: exchange.path, requestId });
    const record = journal.record(exchange, body, { api: route.api, leg, faults: befalls });
    const answer = new InferenceAnswer(exchange, body, record, faults, this.errorBody);
    exchange.gone.addEventListener('abort', () => leave(record), { once: true });
    try {
      await answer.misbehaveEarly();
      await route.run(answer);
      if (record.outcome === 'open') record.outcome = exchange.gone.aborted ? 'aborted' : 'complete';
    } catch (error) {
      await this.#failed(answer, error);
    } finally {
      record.endedAtMs = Date.now();
    }
  }

  async #failed(answer: InferenceAnswer, error: unknown): Promise<void> {
    const { record, exchange } = answer;
    if (error instanceof Faulted) record.outcome = 'faulted';
    else if (exchange.gone.aborted) record.outcome = 'aborted';
    else if (error instanceof EngineError) {
      record.outcome = error.status < 500 || error.status === 503 ? 'refused' : 'failed';
      await answer.fail(error);
    } else {
      record.outcome = 'failed';
      this.options.log('inference failed', { path: exchange.path, error: String(error) });
      await answer.fail(new EngineError(500, String(error)));
    }
  }
}
