import { EngineError } from '../engine/engine-error.js';
import type { HangPoint } from '../faults/fault.js';
import { stopAt } from '../faults/stop-at.js';
import type { FaultSet } from '../faults/fault-set.js';
import { stringifyJson, type JsonObject } from '../json.js';
import { errorInShape, type ErrorWriter } from './error-body.js';
import { EventWriter } from './event-writer.js';
import type { Exchange } from './exchange.js';
import { Faulted } from './faulted.js';
import { faultOf, type RequestRecord } from './request-record.js';

/** The answer to an inference request: everything is written through here, so that every dialect can misbehave. */
export class InferenceAnswer {
  /** Aborts when the client has left, unless a fault says that this goes unnoticed. */
  readonly gone: AbortSignal;
  #events: EventWriter | undefined;

  constructor(
    readonly exchange: Exchange,
    readonly body: JsonObject,
    readonly record: RequestRecord,
    readonly faults: FaultSet,
    readonly errorBody: ErrorWriter,
  ) {
    this.gone = faultOf(record, 'ignore_disconnect') === undefined ? exchange.gone : new AbortController().signal;
  }

  /** The answer as events; its head goes out with the first, or by `open()`. */
  events(): EventWriter {
    const { record, errorBody } = this;
    const { response } = this.exchange;
    return (this.#events ??= new EventWriter({ response, record, errorBody, hang: (at) => this.stopAt(at) }));
  }

  /** Begins the stream of a request that asks for one, as soon as the engine has accepted it. */
  readonly onAccepted = (): void => {
    if (this.body['stream'] === true) this.events().open();
  };

  /** The answer as a whole. */
  async whole(body: object): Promise<void> {
    const { exchange, record } = this;
    const { response } = exchange;
    const cut = faultOf(record, 'cut') ?? faultOf(record, 'reset');
    const error = faultOf(record, 'error_frame');
    if (error !== undefined)
      throw new EngineError(error.status ?? 500, error.message ?? 'EngineCore encountered an issue.');
    await this.stopAt('done');
    record.status = 200;
    const text = stringifyJson(body);
    if (cut !== undefined) {
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(text)),
      });
      response.write(text.slice(0, text.length >> 1), () =>
        cut.kind === 'reset' ? response.socket?.resetAndDestroy() : response.destroy(),
      );
      throw new Faulted(cut.kind);
    }
    const broken = faultOf(record, 'malformed_json') ?? faultOf(record, 'malformed_event');
    if (broken === undefined) return exchange.send(200, body);
    exchange.send(200, text.slice(0, -2), { 'content-type': 'application/json' });
    throw new Faulted('malformed_json');
  }

  /** The answer is an error: a status as long as none is sent, else an event. */
  async fail(error: EngineError): Promise<void> {
    if (this.exchange.response.headersSent) return this.events().error(error);
    this.record.status = error.status;
    this.exchange.send(error.status, error.text ?? this.errorBody(error));
  }

  /** What befalls a request before anything is looked at. */
  async misbehaveEarly(): Promise<void> {
    const { record, exchange } = this;
    await this.stopAt('head');
    const status = faultOf(record, 'http_status');
    if (status !== undefined) {
      const error = new EngineError(
        status.status,
        status.message ?? `The simulator was told to answer ${status.status}.`,
      );
      record.status = status.status;
      exchange.send(status.status, errorInShape(error, status.shape ?? 'dialect', this.errorBody), status.headers);
      throw new Faulted('http_status');
    }
    if (faultOf(record, 'reset')?.at === 'head') {
      exchange.request.socket.resetAndDestroy();
      throw new Faulted('reset');
    }
  }

  /** Hangs or waits here if a fault says so. */
  stopAt(point: HangPoint): Promise<void> {
    return stopAt(point, this.record, this.faults, this.gone);
  }
}
