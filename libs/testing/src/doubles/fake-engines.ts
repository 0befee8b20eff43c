import {
  bytesPart,
  jsonPart,
  kvTransferParams,
  newId,
  SSE_DONE,
  sseEvent,
  type InferenceRequest,
  type JsonObject,
  type ResponsePart,
} from '@baton/inference';
import { defer, tap, type Observable } from 'rxjs';
import { LegLog, type LegKind, type LegPlace, type LegSide } from './leg-log.js';
import { playScript, type LegScript } from './leg-script.js';
import { tokenEvent, wholeOf } from './token-answers.js';

/** Says how a leg is answered; undefined: as an engine would that is well. */
export type LegAnswer = (leg: InferenceRequest, place: LegPlace) => Partial<LegScript> | undefined;

/** The tokens of an answer, when nobody says otherwise. */
export const ANSWER_TOKENS: readonly string[] = ['One', ' two', ' three', ' four', ' five'];

/**
 * The engines behind this instance and behind its pools, all of one kind: a leg that asks for a handoff is answered by one, and
 * keeps KV until a decode leg has begun to answer with it, or until it is freed.
 */
export class FakeEngines {
  readonly log = new LegLog();
  /** Asked for each leg. */
  answer: LegAnswer = () => undefined;
  /** What P says besides, in its answer. Default: a handoff of {@link fakeConnector}. */
  prefillAnswer: ((leg: InferenceRequest) => JsonObject) | undefined;
  readonly #held = new Set<string>();
  #made = 0;

  /** The KV that is held for a decode that has not come, by the id of its handoff. */
  get heldKv(): readonly string[] {
    return [...this.#held];
  }

  /** How many handoffs were made. */
  get handoffs(): number {
    return this.#made;
  }

  /** Frees the KV of a handoff. @returns whether it was there. */
  free(id: unknown): boolean {
    return this.#held.delete(String(id));
  }

  /** Runs a leg. Cold; unsubscribing aborts it. */
  run(side: LegSide, at: string, leg: InferenceRequest): Observable<ResponsePart> {
    const place = { side, at, kind: kindOf(leg, side) };
    return this.log.record(
      place,
      leg,
      defer(() => {
        const script = { ...this.#healthy(leg, place.kind), ...this.answer(leg, place) };
        const taken = kvTransferParams(leg.body)?.['remote_request_id'];
        return playScript(script).pipe(
          tap((part) => {
            if (place.kind === 'prefill') this.#keep(part);
            else if (taken !== undefined) this.free(taken);
          }),
        );
      }),
    );
  }

  /** Only an answer that has come leaves KV behind: one that is aborted before frees it. */
  #keep(part: ResponsePart): void {
    const params = part.kind === 'json' ? kvTransferParams(part.body) : undefined;
    // What other protocols leave behind is theirs to free.
    if (params?.['kv_connector'] !== 'fake' || params['do_remote_prefill'] !== true || params['room'] !== undefined)
      return;
    this.#made += 1;
    this.#held.add(String(params['remote_request_id']));
  }

  #healthy(leg: InferenceRequest, kind: LegKind): LegScript {
    if (kind === 'prefill') {
      const answer = this.prefillAnswer?.(leg) ?? {
        ...wholeOf(leg, ANSWER_TOKENS.slice(0, 1), 'length'),
        ...handoff(leg),
      };
      return { parts: [jsonPart(answer)] };
    }
    return { parts: answerParts(leg, ANSWER_TOKENS) };
  }
}

/** The parts in which an engine answers `leg` with `tokens`: events, or one answer. */
export function answerParts(leg: InferenceRequest, tokens: Iterable<string>): Iterable<ResponsePart> {
  return leg.stream ? streamOf(leg, tokens) : [jsonPart(wholeOf(leg, [...tokens], 'stop'))];
}

/** A stream that does not end by itself. */
export function endlessParts(leg: InferenceRequest): Iterable<ResponsePart> {
  return streamOf(leg, endless());
}

function* endless(): Generator<string> {
  for (let count = 0; ; count += 1) yield ` ${count}`;
}

function* streamOf(leg: InferenceRequest, tokens: Iterable<string>): Generator<ResponsePart> {
  for (const token of tokens) yield bytesPart(sseEvent(tokenEvent(leg, token, null)));
  yield bytesPart(sseEvent(tokenEvent(leg, '', 'stop')));
  yield bytesPart(SSE_DONE);
}

/** A leg for one token that nobody streams is what a P gets, whatever its pool. */
export function kindOf(leg: InferenceRequest, side: LegSide): LegKind {
  const params = kvTransferParams(leg.body);
  if (params?.['do_remote_decode'] === true) return 'prefill';
  // A handoff is a decode's, also of one that is sent for a token only to free it.
  if (params !== undefined) return 'decode';
  return side === 'prefill' ? 'prefill' : 'decode';
}

function handoff(leg: InferenceRequest): JsonObject {
  const asked = kvTransferParams(leg.body);
  if (asked?.['do_remote_decode'] !== true) return {};
  const room = asked['room'];
  const params = { kv_connector: 'fake', do_remote_prefill: true, remote_request_id: room ?? newId() };
  return { kv_transfer_params: room === undefined ? params : { ...params, room } };
}
