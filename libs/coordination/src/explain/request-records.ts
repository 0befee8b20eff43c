import { isTrusted, type InferenceRequest } from '@baton/inference';
import { Inject, Injectable } from '@nestjs/common';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import { DEFAULT_REQUEST_RECORDS, type CoordinationOptions } from '../coordination.options.js';
import type { RequestRecord } from './request-record.js';
import { RequestRecording } from './request-recording.js';

/** On a request of a trusted caller, `1`: its answer carries what was decided for it. From others it means nothing. */
export const EXPLAIN_HEADER = 'x-baton-explain';

/** Which records are listed. */
export interface RecordsPage {
  /** At most so many, at least 1. Default 50. */
  readonly limit?: number;
  /** Only those that began before the one of this key. Nothing when that is not kept any more. */
  readonly before?: string;
}

const [DEFAULT_LIMIT, MAX_CAPACITY] = [50, 65_536];

/** What was decided for the last requests of this process, and how they went. Bounded: the oldest makes room. */
@Injectable()
export class RequestRecords {
  /** How many are kept; 0 when none is. */
  readonly capacity: number;
  readonly #ring: RequestRecording[] = [];
  /** Where the next one goes. */
  #next = 0;

  /** @throws Error naming the option when `requestRecords` is no whole number from 0 to 65,536. */
  constructor(@Inject(COORDINATION_OPTIONS) private readonly options: CoordinationOptions) {
    const { requestRecords = DEFAULT_REQUEST_RECORDS } = options;
    if (!Number.isInteger(requestRecords) || requestRecords < 0 || requestRecords > MAX_CAPACITY) {
      throw new Error(`Option requestRecords must be a whole number from 0 to 65,536, not ${requestRecords}.`);
    }
    this.capacity = requestRecords;
  }

  /** How many there are now. */
  get count(): number {
    return this.#ring.length;
  }

  /** The newest first, each as it is now. */
  list({ limit = DEFAULT_LIMIT, before }: RecordsPage = {}): readonly RequestRecord[] {
    const newest = this.#newestFirst();
    const from = before === undefined ? 0 : newest.findIndex(({ key }) => key === before) + 1;
    if (before !== undefined && from === 0) return [];
    return newest.slice(from, from + Math.max(1, limit)).map((recording) => recording.view());
  }

  /** The newest record of that id: the client's, or the key. */
  get(id: string): RequestRecord | undefined {
    return this.#newestFirst()
      .find((recording) => recording.id === id || recording.key === id)
      ?.view();
  }

  /** Begins the record of a request; undefined when nobody will see it. */
  begin(request: InferenceRequest, policyVersion: string): RequestRecording | undefined {
    const isInline = request.clientHeaders[EXPLAIN_HEADER] === '1' && isTrusted(request.caller);
    if (this.capacity === 0 && !isInline) return undefined;
    const recording = new RequestRecording(request, { policyVersion, isInline, coordination: this.options });
    if (this.capacity > 0) {
      this.#ring[this.#next] = recording;
      this.#next = (this.#next + 1) % this.capacity;
    }
    return recording;
  }

  #newestFirst(): readonly RequestRecording[] {
    return [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)].reverse();
  }
}
