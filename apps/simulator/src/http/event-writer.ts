import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { EngineError } from '../engine/engine-error.js';
import { faultOf, type RequestRecord } from './request-record.js';
import { errorInShape, type ErrorWriter } from './error-body.js';
import { frameEvent, type Framing } from './framing.js';
import { stringifyJson } from '../json.js';
import { Faulted } from './faulted.js';

/** What an event writer needs of its request. */
export interface StreamContext {
  readonly response: ServerResponse;
  readonly record: RequestRecord;
  readonly errorBody: ErrorWriter;
  /** Waits where a fault lets the request hang. */
  hang(at: 'done'): Promise<void>;
}

/** Writes an answer as server-sent events, with the misbehaviours that befall the request. */
export class EventWriter {
  /** Tokens in the events written so far. */
  #tokens = 0;
  #events = 0;
  readonly #framing: Framing;
  readonly #comments;

  constructor(readonly context: StreamContext) {
    this.#framing = faultOf(context.record, 'sse_framing') ?? {};
    this.#comments = faultOf(context.record, 'sse_comments');
  }

  /** Sends the head: the answer is 200 from here on. */
  open(): void {
    const { response, record } = this.context;
    if (response.headersSent || response.destroyed) return;
    record.status = 200;
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
    response.flushHeaders();
  }

  /**
   * Sends an event that carries `tokens` tokens of the answer.
   *
   * @throws Faulted when a fault ends the stream here.
   */
  async event(data: object, tokens = 0, name?: string): Promise<void> {
    this.open();
    const { record } = this.context;
    if (faultOf(record, 'done_only') !== undefined) return;
    await this.#misbehave();
    this.#tokens += tokens;
    this.#events += 1;
    if (this.#comments !== undefined && this.#events % (this.#comments.every ?? 1) === 0)
      await this.#write(': keep-alive\n\n');
    await this.#write(frameEvent(stringifyJson(data), this.#framing, name));
  }

  /** Ends the stream with `[DONE]`. */
  async done(mark = '[DONE]'): Promise<void> {
    this.open();
    await this.#misbehave();
    await this.context.hang('done');
    await this.#write(frameEvent(mark, this.#framing));
    await this.end();
  }

  /** Ends the stream as it is. */
  async end(): Promise<void> {
    const { response } = this.context;
    if (response.destroyed || response.writableEnded) return;
    response.end();
    await Promise.race([once(response, 'finish'), once(response, 'close')]).catch(() => undefined);
  }

  /** Ends the stream with an error event. */
  async error(error: EngineError): Promise<void> {
    await this.#write(frameEvent(stringifyJson(this.context.errorBody(error)), this.#framing));
    await this.#write(frameEvent('[DONE]', this.#framing));
    await this.end();
  }

  async #misbehave(): Promise<void> {
    const { response, record, errorBody } = this.context;
    for (const fault of record.faults) {
      if (!('afterTokens' in fault || ENDS_STREAM.has(fault.kind)) || fault.kind === 'hang') continue;
      const after = 'afterTokens' in fault ? (fault.afterTokens ?? 0) : 0;
      if (this.#tokens < after) continue;
      switch (fault.kind) {
        case 'reset':
          await flushed(response);
          response.socket?.resetAndDestroy();
          throw new Faulted('reset');
        case 'cut':
          await this.end();
          throw new Faulted('cut');
        case 'malformed_event':
          await this.#write(frameEvent('{"id":"broken","choices":[{"index":0,', this.#framing));
          await this.#write(frameEvent('[DONE]', this.#framing));
          await this.end();
          throw new Faulted('malformed_event');
        case 'error_frame': {
          const error = new EngineError(fault.status ?? 500, fault.message ?? 'EngineCore encountered an issue.');
          const body = errorInShape(error, fault.shape ?? 'dialect', errorBody);
          await this.#write(frameEvent(typeof body === 'string' ? body : stringifyJson(body), this.#framing));
          if (fault.done !== false) await this.#write(frameEvent('[DONE]', this.#framing));
          await this.end();
          throw new Faulted('error_frame');
        }
        default:
      }
    }
  }

  async #write(text: string): Promise<void> {
    const { response } = this.context;
    const size = this.#framing.chunkBytes;
    const bytes = Buffer.from(text);
    for (let from = 0; from < bytes.length; from += size ?? bytes.length) {
      if (response.destroyed) return;
      if (!response.write(bytes.subarray(from, from + (size ?? bytes.length)))) await drained(response);
      // A piece of its own on the wire, as far as that can be had.
      else if (size !== undefined) await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

const ENDS_STREAM = new Set(['reset', 'cut', 'malformed_event', 'error_frame']);

/** Until what was written has left, or nobody takes it any more. */
async function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed || !response.writableNeedDrain) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}

/** Until what was written is out of this process: a reset throws away what is not. */
async function flushed(response: ServerResponse): Promise<void> {
  do await new Promise((resolve) => setImmediate(resolve));
  while (!response.destroyed && (response.socket?.writableLength ?? 0) > 0);
}
