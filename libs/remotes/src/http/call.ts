import type { FlowValve, ResponsePart } from '@baton/inference';
import { Observable, type Subscriber } from 'rxjs';
import type { Dispatcher } from 'undici';
import { badAnswer, EventStreamSink, WholeBodySink, type AnswerSink } from './answer-sink.js';
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
  readonly body?: string | Buffer;
  /** Whether the answer must be server-sent events. */
  readonly stream: boolean;
  readonly valve: FlowValve;
  /** From the request sent to the head of the answer. */
  readonly headTimeoutMs: number;
  readonly bounds: CallBounds;
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
 * Sends a call. Cold: subscribing sends it, unsubscribing closes it. Reads no more from the socket while the
 * valve is closed. Uses undici's dispatch handlers rather than its streams: one callback a chunk.
 */
export function sendCall(dispatcher: Dispatcher, call: HttpCall): Observable<ResponsePart> {
  return new Observable((subscriber) => {
    let controller: Dispatcher.DispatchController | undefined;
    let sink: AnswerSink | undefined;
    dispatcher.dispatch(
      {
        origin: call.origin,
        path: call.path,
        method: call.method,
        headers: call.headers,
        body: call.body ?? null,
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
          sink?.data(chunk);
        },
        onResponseEnd() {
          controller = undefined;
          sink?.end();
        },
        onResponseError(_controller, error) {
          controller = undefined;
          if (!subscriber.closed) subscriber.error(connectionError(call.name, error));
        },
      },
    );
    subscriber.add(
      call.valve.state$.subscribe((isOpen) => {
        if (isOpen) controller?.resume();
        else controller?.pause();
      }),
    );
    return () => controller?.abort(new CallCancelled());
  });
}

/** Nobody wants the answer any more. */
class CallCancelled extends Error {
  override readonly name = 'CallCancelled';
}

function sinkFor(
  subscriber: Subscriber<ResponsePart>,
  call: HttpCall,
  status: number,
  contentType: string | string[] | undefined,
): AnswerSink {
  const isOk = status >= 200 && status < 300;
  const isEventStream = String(contentType).startsWith('text/event-stream');
  if (isOk && call.stream && isEventStream) return new EventStreamSink(subscriber, call.bounds.maxEventBytes);
  return new WholeBodySink(subscriber, call.bounds.maxAnswerBytes, (body) => {
    if (!isOk) subscriber.error(statusError(call.name, status, body));
    else if (call.stream) subscriber.error(badAnswer('The remote instance did not answer with an event stream.'));
    else {
      subscriber.next({ kind: 'bytes', bytes: body });
      subscriber.complete();
    }
  });
}
