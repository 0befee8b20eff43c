import { upstreamError, type FlowValve, type ResponsePart } from '@baton/inference';
import { Readable } from 'node:stream';
import { Observable, type Subscriber } from 'rxjs';
import type { Dispatcher } from 'undici';
import { EventStreamSink, WholeBodySink, type AnswerReading, type AnswerSink } from './answer-sink.js';
import { CallCancelled, letEnd } from './let-end.js';
import { connectionError, statusError } from './upstream-error.js';

/** One HTTP call to another process. */
export interface HttpCall {
  readonly origin: string;
  /** `host:port`, for errors and metrics. */
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  /** Its own: undici may hold on to it. */
  readonly headers: Record<string, string>;
  /** In one piece, or in pieces that are sent one after another without being joined. */
  readonly body?: string | readonly Uint8Array[];
  /** How the server-sent events of the answer are read; undefined when the answer must not be a stream. */
  readonly events?: AnswerReading | undefined;
  readonly valve: FlowValve;
  /** From the request sent to the head of the answer. */
  readonly headTimeoutMs: number;
  readonly bounds: CallBounds;
  /** The call was sent, and this side has left it before the upstream ended its answer. */
  readonly onLeft?: (() => void) | undefined;
}

/** What a call may take. */
export interface CallBounds {
  /** Between two chunks of the answer. */
  readonly idleTimeoutMs: number;
  /** Of an answer that is not streamed. */
  readonly maxAnswerBytes: number;
  /** Of one event of a stream. */
  readonly maxEventBytes: number;
}

/**
 * Sends a call. Cold: subscribing sends it, unsubscribing closes it, unless its answer is whole by then: that ends by itself.
 * Reads no more from the socket while the valve is closed. Uses undici's dispatch handlers rather than its streams: one
 * callback a chunk.
 */
export function sendCall(dispatcher: Dispatcher, call: HttpCall): Observable<ResponsePart> {
  return new Observable((subscriber) => {
    let controller: Dispatcher.DispatchController | undefined;
    let sink: AnswerSink | undefined;
    let stopWaiting: (() => void) | undefined;
    const over = (): void => {
      controller = undefined;
      stopWaiting?.();
    };
    dispatcher.dispatch(
      {
        origin: call.origin,
        path: call.path,
        method: call.method,
        ...contentOf(call),
        headersTimeout: call.headTimeoutMs,
        bodyTimeout: call.bounds.idleTimeoutMs,
      },
      {
        onRequestStart(started) {
          controller = started;
          // Left while the connection was still being made: nothing has been sent yet.
          if (subscriber.closed) started.abort(new CallCancelled());
          else if (!call.valve.isOpen) started.pause();
        },
        onResponseStart(_controller, status, headers) {
          if (status < 200) return;
          sink = sinkFor(subscriber, call, status, headers['content-type']);
        },
        onResponseData(_controller, chunk) {
          if (!subscriber.closed) sink?.data(chunk);
        },
        onResponseEnd() {
          over();
          if (!subscriber.closed) sink?.end();
        },
        onResponseError(_controller, error) {
          over();
          if (subscriber.closed) return;
          const failure = connectionError(call.name, error);
          // The upstream goes on with what took it too long.
          if (failure.reason === 'timeout') call.onLeft?.();
          subscriber.error(failure);
        },
      },
    );
    // Not at once: undici resumes no connection while it reads another, and what opens a valve may have just been read.
    const resumeSoon = (): void =>
      queueMicrotask(() => {
        if (call.valve.isOpen && !subscriber.closed) controller?.resume();
      });
    subscriber.add(
      call.valve.state$.subscribe((isOpen) => {
        if (!isOpen) controller?.pause();
        else if (controller?.paused === true) resumeSoon();
      }),
    );
    return () => {
      if (controller === undefined) return;
      if (sink?.lastWord === 'success') {
        stopWaiting = letEnd(controller);
        return;
      }
      controller.abort(new CallCancelled());
      if (sink?.lastWord === undefined) call.onLeft?.();
    };
  });
}

/** Several pieces need their length said: without it they would go out as chunks, which not every server takes. */
function contentOf({ body, headers }: HttpCall): Pick<Dispatcher.DispatchOptions, 'headers' | 'body'> {
  if (body === undefined || typeof body === 'string') return { headers, body: body ?? null };
  const [first, ...rest] = body;
  if (first === undefined || rest.length === 0) return { headers, body: first ?? null };
  const length = body.reduce((sum, piece) => sum + piece.byteLength, 0);
  return {
    headers: { ...headers, 'content-length': String(length) },
    body: Readable.from(body, { objectMode: false }),
  };
}

function sinkFor(
  subscriber: Subscriber<ResponsePart>,
  { name, events, bounds }: HttpCall,
  status: number,
  contentType: string | string[] | undefined,
): AnswerSink {
  const isOk = status >= 200 && status < 300;
  const isEventStream = String(contentType).startsWith('text/event-stream');
  if (isOk && events !== undefined && isEventStream) {
    return new EventStreamSink(subscriber, bounds.maxEventBytes, events);
  }
  return new WholeBodySink(subscriber, bounds.maxAnswerBytes, (body) => {
    if (!isOk) subscriber.error(statusError(name, status, body));
    else if (events !== undefined) {
      subscriber.error(
        upstreamError('bad_upstream_answer', 'The remote instance did not answer with an event stream.'),
      );
    } else {
      subscriber.next({ kind: 'bytes', bytes: body });
      subscriber.complete();
    }
  });
}
