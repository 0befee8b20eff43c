import { deadlineExceeded, upstreamError, type FlowValve, type ResponsePart } from '@baton/inference';
import { Readable } from 'node:stream';
import { Observable, type Subscriber } from 'rxjs';
import type { Dispatcher } from 'undici';
import { EventStreamSink, WholeBodySink, type AnswerReading, type AnswerSink } from './answer-sink.js';
import { CallClock, type CallTimes, type LateTimer } from './call-clock.js';
import { CallCancelled, letEnd } from './let-end.js';
import { connectionError, lateError, statusError } from './upstream-error.js';

/** One HTTP call to another process. */
export interface HttpCall {
  readonly origin: string;
  /** `host:port`, for errors and metrics. */
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  /** Its own: undici may hold on to it. */
  readonly headers: Record<string, string>;
  /** What no answer may show to anybody: the key that the call is made with. */
  readonly secret?: string | undefined;
  /** In one piece, or in pieces that are sent one after another without being joined. */
  readonly body?: string | readonly Uint8Array[];
  /** How the server-sent events of the answer are read; undefined when the answer must not be a stream. */
  readonly events?: AnswerReading | undefined;
  readonly valve: FlowValve;
  readonly times: CallTimes;
  /** When the answer has to be there, on the clock of `performance.now()`. */
  readonly deadlineMs?: number | undefined;
  readonly bounds: CallBounds;
  /** The call was sent, and this side has left it before the upstream ended its answer. */
  readonly onLeft?: (() => void) | undefined;
}

/** What a call may take. */
export interface CallBounds {
  /** Of an answer that is not streamed. */
  readonly maxAnswerBytes: number;
  /** Of one event of a stream. */
  readonly maxEventBytes: number;
}

/**
 * Sends a call. Cold: subscribing sends it, unsubscribing closes it, unless its answer is whole by then: that ends by itself.
 * Reads no more from the socket while the valve is closed. Uses undici's dispatch handlers rather than its streams: one
 * callback a chunk. Nor are its timers used: they are as much as a second late, and any byte restarts them.
 */
export function sendCall(dispatcher: Dispatcher, call: HttpCall): Observable<ResponsePart> {
  return new Observable((subscriber) => {
    let controller: Dispatcher.DispatchController | undefined;
    let sink: AnswerSink | undefined;
    let stopWaiting: (() => void) | undefined;
    if (call.deadlineMs !== undefined && call.deadlineMs <= performance.now()) {
      subscriber.error(deadlineExceeded());
      return;
    }
    const clock = new CallClock(call.times, call.deadlineMs, (late) => subscriber.error(lateOf(call, late)));
    const over = (): void => {
      controller = undefined;
      stopWaiting?.();
    };
    // First, before anything that ends at once.
    subscriber.add(() => clock.stop());
    dispatcher.dispatch(
      {
        origin: call.origin,
        path: call.path,
        method: call.method,
        ...contentOf(call),
        headersTimeout: 0,
        bodyTimeout: 0,
      },
      {
        onRequestStart(started) {
          controller = started;
          // Left while the connection was still being made: nothing has been sent yet.
          if (subscriber.closed) return started.abort(new CallCancelled());
          clock.enter('head');
          if (!call.valve.isOpen) started.pause();
        },
        onResponseStart(_controller, status, headers) {
          if (status < 200) return;
          sink = sinkFor(subscriber, call, status, headers['content-type']);
          clock.enter(sink instanceof EventStreamSink ? 'first_token' : 'between_tokens');
        },
        onResponseData(_controller, chunk) {
          if (!subscriber.closed && sink?.data(chunk) === true) clock.progress();
        },
        onResponseEnd() {
          over();
          if (!subscriber.closed) sink?.end();
        },
        onResponseError(_controller, error) {
          over();
          // Never sent again here, also when the connection was just being closed: two legs of one id, or in one room of a
          // transfer, are worse than an error.
          if (!subscriber.closed) subscriber.error(connectionError(call.name, error));
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
        clock.hold(!isOpen);
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

function lateOf({ name }: HttpCall, late: LateTimer | 'deadline'): Error {
  return late === 'deadline' ? deadlineExceeded() : lateError(name, late);
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
  { name, events, bounds, secret }: HttpCall,
  status: number,
  contentType: string | string[] | undefined,
): AnswerSink {
  const isOk = status >= 200 && status < 300;
  const isEventStream = String(contentType).startsWith('text/event-stream');
  if (isOk && events !== undefined && isEventStream) {
    return new EventStreamSink(subscriber, bounds.maxEventBytes, events);
  }
  return new WholeBodySink(subscriber, bounds.maxAnswerBytes, (body) => {
    if (!isOk) subscriber.error(statusError(name, status, body, secret));
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
