import { InferenceError, type InferenceRequest, type ResponsePart } from '@baton/inference';
import { Inject, Injectable, StreamableFile } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import {
  catchError,
  defaultIfEmpty,
  defer,
  finalize,
  map,
  Observable,
  reduce,
  Subscription,
  takeUntil,
  tap,
  throwError,
} from 'rxjs';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import {
  DEFAULT_HIGH_WATER_BYTES,
  DEFAULT_STALL_TIMEOUT_MS,
  type CoordinationOptions,
} from '../coordination.options.js';
import {
  closingComment,
  inlineRecordingOf,
  recordingOf,
  textWithRecord,
  withRecord,
} from '../explain/inline-record.js';
import { CoordinationObserver, type StreamEndReason } from '../observer.js';
import { Admission } from './admission.js';
import { answerId } from './answer-id.js';
import { clientGone } from './client-gone.js';
import { untilDeadline } from './deadline.js';
import { endReason, failureToTell } from './end-reason.js';
import { keepIntegersExact } from './exact-integers.js';
import { InFlight } from './in-flight.js';
import type { InferenceAnswer } from './inference-answer.js';
import { onSent } from './on-sent.js';
import { ResponseBody } from './response-body.js';
import { toHttpException } from './to-http-exception.js';

/** Turns the parts of an answer into what Nest sends, and ends the answer when the client has gone. */
@Injectable()
export class AnswerRenderer {
  constructor(
    private readonly inFlight: InFlight,
    private readonly admission: Admission,
    private readonly observer: CoordinationObserver,
    @Inject(COORDINATION_OPTIONS) private readonly options: CoordinationOptions,
  ) {}

  /**
   * Emits the response once: JSON when the answer is whole, a stream as soon as its first part is there, so that a
   * failure before that is a true HTTP error. Emits undefined when the client has gone.
   */
  render({ parts, request }: InferenceAnswer, reply: FastifyReply): Observable<unknown> {
    return new Observable<unknown>((subscriber) => {
      const admission = new Subscription();
      const begun = this.inFlight.begin(request);
      const end = (reason: StreamEndReason): void => {
        admission.unsubscribe();
        begun(reason);
        recordingOf(request)?.over(reason);
      };
      const answer = this.watched(
        this.admitted(parts, request, admission).pipe(
          untilDeadline(request.deadlineMs),
          this.inFlight.untilAborted(request),
        ),
        request,
      );
      const rendered = request.stream
        ? this.stream(answer, request, reply, end)
        : this.whole(answer, request, reply, end);
      return rendered.subscribe(subscriber);
    }).pipe(
      catchError((error: unknown) => {
        // One that was refused before it began has no other end.
        recordingOf(request)?.over(endReason(error));
        if (error instanceof InferenceError && error.retryAfterSeconds !== undefined) {
          void reply.header('retry-after', String(error.retryAfterSeconds));
        }
        return throwError(() => toHttpException(error));
      }),
    );
  }

  /**
   * The parts, as soon as the request is admitted. It counts as admitted until its answer has been sent, not only made: until
   * then it holds memory and a socket.
   */
  private admitted(
    parts: Observable<ResponsePart>,
    request: InferenceRequest,
    admission: Subscription,
  ): Observable<ResponsePart> {
    return new Observable((subscriber) => {
      admission.add(
        this.admission.admit(request).subscribe({
          next: () => parts.subscribe(subscriber),
          error: (error: unknown) => subscriber.error(error),
        }),
      );
    });
  }

  /** Learns the id that the answer gives itself, and tells of its failure. */
  private watched(parts: Observable<ResponsePart>, request: InferenceRequest): Observable<ResponsePart> {
    return defer(() => {
      let hasBegun = false;
      return parts.pipe(
        tap({
          next: (part) => {
            if (hasBegun) return;
            hasBegun = true;
            const id = answerId(part);
            if (id !== undefined) this.inFlight.alsoKnownAs(request, id);
          },
          error: (error: unknown) => {
            const failure = failureToTell(error, { isMidStream: hasBegun && request.stream });
            if (failure !== undefined) this.observer.failed(request, failure);
          },
        }),
      );
    });
  }

  private stream(
    parts: Observable<ResponsePart>,
    request: InferenceRequest,
    reply: FastifyReply,
    end: (reason: StreamEndReason) => void,
  ): Observable<StreamableFile | undefined> {
    const { stallTimeoutMs } = this;
    return new Observable((subscriber) => {
      const gone = new Subscription();
      let isHandedOver = false;
      const body = new ResponseBody(
        request.valve,
        {
          onReady: () => {
            isHandedOver = true;
            void reply.headers(EVENT_STREAM_HEADERS);
            subscriber.next(new StreamableFile(body));
            subscriber.complete();
          },
          onFailed: (error) => subscriber.error(error),
          lastWords: () => {
            const recording = inlineRecordingOf(request);
            return recording && closingComment(recording);
          },
          onEnd: ({ isWhole, error }) => {
            gone.unsubscribe();
            if (!isWhole) return end(error === undefined ? 'client_gone' : endReason(error));
            onSent(reply.raw, stallTimeoutMs, (isSent) => {
              end(error === undefined ? (isSent ? 'complete' : 'client_gone') : endReason(error));
            });
          },
        },
        { highWaterBytes: this.options.highWaterBytes ?? DEFAULT_HIGH_WATER_BYTES, stallTimeoutMs },
      );
      gone.add(
        clientGone(reply.raw).subscribe(() => {
          body.destroy();
          subscriber.next(undefined);
          subscriber.complete();
        }),
      );
      if (!body.destroyed) body.start(parts);
      // Unsubscribed before the response had this body (a timeout of the application's own): nobody else can end it.
      return () => {
        if (!isHandedOver) body.destroy();
      };
    });
  }

  private whole(
    parts: Observable<ResponsePart>,
    request: InferenceRequest,
    reply: FastifyReply,
    end: (reason: StreamEndReason) => void,
  ): Observable<unknown> {
    let reason: StreamEndReason = 'client_gone';
    const recording = inlineRecordingOf(request);
    return parts.pipe(
      reduce<ResponsePart, ResponsePart[]>((all, part) => (all.push(part), all), []),
      map((all) => {
        const [first] = all;
        void reply.header('content-type', 'application/json; charset=utf-8');
        if (first?.kind !== 'json') {
          const text = Buffer.concat(all.flatMap((part) => (part.kind === 'bytes' ? [part.bytes] : [])));
          return recording === undefined ? text : textWithRecord(text, recording);
        }
        keepIntegersExact(first.body, reply);
        return recording === undefined ? first.body : withRecord(first.body, recording);
      }),
      tap({ next: () => (reason = 'complete'), error: (error: unknown) => (reason = endReason(error)) }),
      takeUntil(clientGone(reply.raw)),
      defaultIfEmpty(undefined),
      finalize(() => {
        if (reason === 'complete')
          onSent(reply.raw, this.stallTimeoutMs, (isSent) => end(isSent ? 'complete' : 'client_gone'));
        else end(reason);
      }),
    );
  }

  private get stallTimeoutMs(): number {
    return this.options.stallTimeoutMs ?? DEFAULT_STALL_TIMEOUT_MS;
  }
}

/** `x-accel-buffering` and `no-transform` keep proxies from gathering tokens into lumps. */
const EVENT_STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};
