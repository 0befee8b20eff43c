import { Readable } from 'node:stream';
import { InferenceError, sseFailure, stringifyJson, type FlowValve, type ResponsePart } from '@baton/inference';
import { map, type Observable, type Subscription } from 'rxjs';

/** What a {@link ResponseBody} tells while it streams. */
export interface ResponseBodyEvents {
  /** The first part is there (or the answer is whole): the head may be sent. Called at most once. */
  onReady(): void;
  /** The answer failed before its first part: no head was sent, and this body sends nothing. */
  onFailed(error: unknown): void;
  /** What ends a stream of which something was sent, whole or not, behind everything else; undefined for nothing. */
  lastWords?(): string | undefined;
  /** The stream is over and has released what it held. `error` is why, when it did not complete. Called once. */
  onEnd(end: { readonly isWhole: boolean; readonly error: unknown }): void;
}

/** Bounds of a {@link ResponseBody}. */
export interface ResponseBodyOptions {
  /** Bytes that wait for the client before the valve closes. */
  readonly highWaterBytes: number;
  /** A client that takes nothing for this long is cut off. */
  readonly stallTimeoutMs: number;
}

/** The client took nothing for too long. */
export class ClientStalledError extends Error {
  override readonly name = 'ClientStalledError';
}

/**
 * An answer as a stream for the HTTP response. It holds the one subscription of the request: destroying it (the
 * client has gone, or is stalled) unsubscribes, which releases everything that the request holds.
 */
export class ResponseBody extends Readable {
  #subscription: Subscription | undefined;
  #stall: NodeJS.Timeout | undefined;
  #isReady = false;
  #failure: unknown;

  constructor(
    private readonly valve: FlowValve,
    private readonly events: ResponseBodyEvents,
    private readonly options: ResponseBodyOptions,
  ) {
    super({ highWaterMark: options.highWaterBytes });
    // Told through `onEnd`; without a listener an 'error' before the response reads would end the process.
    this.on('error', () => undefined);
  }

  /** Starts the answer. */
  start(parts: Observable<ResponsePart>): void {
    // As an operator: a part that cannot be written is a failure of the answer.
    this.#subscription = parts.pipe(map(chunkOf)).subscribe({
      next: (chunk) => this.#take(chunk),
      error: (error: unknown) => this.#fail(error),
      complete: () => this.#complete(),
    });
    // A synchronous failure destroyed this body before the subscription was there to end.
    if (this.destroyed) this.#subscription.unsubscribe();
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    if (chunk !== null) this.#stall?.refresh();
    return chunk;
  }

  override _read(): void {
    clearTimeout(this.#stall);
    this.#stall = undefined;
    this.valve.open();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearTimeout(this.#stall);
    this.#subscription?.unsubscribe();
    this.events.onEnd({ isWhole: this.readableEnded, error: error ?? this.#failure });
    callback(error);
  }

  #take(chunk: Uint8Array | string): void {
    const hasRoom = this.push(chunk);
    if (!hasRoom) this.#waitForClient();
    this.#ready();
  }

  /** Before the first part a failure is an HTTP error; after it, an error event ends the stream, never silence. */
  #fail(error: unknown): void {
    this.#failure = error;
    if (this.#isReady) {
      this.push(sseFailure(InferenceError.from(error)));
      this.#finish();
    } else {
      this.events.onFailed(error);
      this.destroy();
    }
  }

  #complete(): void {
    this.#finish();
    this.#ready();
  }

  /** What is left may be too little to close the valve: a client that does not take it is cut off all the same. */
  #finish(): void {
    const words = this.events.lastWords?.();
    if (words !== undefined) this.push(words);
    this.push(null);
    this.#watchForStall();
  }

  #ready(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    this.events.onReady();
  }

  #waitForClient(): void {
    this.valve.close();
    this.#watchForStall();
  }

  #watchForStall(): void {
    this.#stall ??= setTimeout(
      () => this.destroy(new ClientStalledError('The client took no data for too long.')),
      this.options.stallTimeoutMs,
    );
  }
}

function chunkOf(part: ResponsePart): Uint8Array | string {
  return part.kind === 'bytes' ? part.bytes : stringifyJson(part.body);
}
