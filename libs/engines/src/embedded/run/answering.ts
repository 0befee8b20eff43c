import {
  bytesPart,
  jsonPart,
  sseEvent,
  SSE_DONE,
  whileHeld,
  type InferenceRequest,
  type JsonObject,
  type ResponsePart,
} from '@baton/inference';
import { concat, defer, from, ignoreElements, map, of, reduce, switchMap, tap, type Observable } from 'rxjs';
import { abortable } from '../support/abortable.js';
import { usageObject, type AnswerEncoder } from '../answer/answer-encoder.js';
import { answerEncoder } from '../answer/encoders.js';
import { ChoiceWriter, type ChoiceDelta } from './choice-writer.js';
import { decodeChoice } from './decode.js';
import type { EngineParts } from '../engine-parts.js';
import type { PulledState } from '../handoff/handoff-pull.js';
import { prefill } from './prefill.js';
import type { LegPlan, RequestPlan } from '../request/request-plan.js';
import type { SequenceSlot } from '../llama/sequence-slot.js';

/** A piece of one choice. */
interface IndexedDelta {
  readonly index: number;
  readonly delta: ChoiceDelta;
}

const NO_DELTA: ChoiceDelta = { text: '', tokenIds: [], logprobs: [], finishReason: null };

/** Answers a request whose tokens are sampled here: a whole request, or a decode leg. */
export function answer(request: InferenceRequest, plan: RequestPlan, parts: EngineParts): Observable<ResponsePart> {
  return defer(() => {
    const { modelName: model, vocabulary } = parts.runtime;
    const created = Math.floor(Date.now() / 1000);
    const encoder = answerEncoder({ request, model, created, hasLogprobs: plan.logprobs !== undefined, vocabulary });
    const run = new AnswerRun(request, plan, parts);
    return request.stream ? streamed(run, encoder, plan.includeUsage) : whole(run, encoder, plan.choices);
  });
}

function streamed(run: AnswerRun, encoder: AnswerEncoder, includeUsage: boolean): Observable<ResponsePart> {
  const begun = new Set<number>();
  const chunks = run.deltas().pipe(
    map(({ index, delta }) => {
      const isFirst = !begun.has(index);
      begun.add(index);
      return bytesPart(sseEvent(encoder.chunk(index, delta, isFirst)));
    }),
  );
  const usage = defer(() => (includeUsage ? of(bytesPart(sseEvent(encoder.usageChunk(run.usage())))) : []));
  return concat(chunks, usage, of(bytesPart(SSE_DONE)));
}

function whole(run: AnswerRun, encoder: AnswerEncoder, choices: number): Observable<ResponsePart> {
  const none = Array.from({ length: choices }, () => [] as ChoiceDelta[]);
  return run.deltas().pipe(
    reduce((all, { index, delta }) => (all[index]?.push(delta), all), none),
    map((all) => jsonPart(encoder.whole(all.map(joinDeltas), run.usage()))),
  );
}

function joinDeltas(deltas: readonly ChoiceDelta[]): ChoiceDelta {
  return {
    text: deltas.map(({ text }) => text).join(''),
    tokenIds: deltas.flatMap(({ tokenIds }) => tokenIds),
    logprobs: deltas.flatMap(({ logprobs }) => logprobs),
    finishReason: deltas.at(-1)?.finishReason ?? null,
  };
}

/** One request on its way through the engine. */
class AnswerRun {
  #completionTokens = 0;
  #cachedTokens = 0;

  constructor(
    private readonly request: InferenceRequest,
    private readonly plan: RequestPlan,
    private readonly parts: EngineParts,
  ) {}

  usage(): JsonObject {
    return usageObject({
      promptTokens: this.plan.prompt.length,
      completionTokens: this.#completionTokens,
      cachedTokens: this.#cachedTokens,
    });
  }

  /** The choices one after the other: they share one sequence, and so the prompt is evaluated once. */
  deltas(): Observable<IndexedDelta> {
    const { pool } = this.parts;
    return this.#state(this.plan.leg).pipe(
      whileHeld((state) =>
        pool
          .acquire(this.plan.prompt, this.request.caller.label)
          .pipe(whileHeld((slot) => concat(this.#prepare(slot, state), ...this.#choices(slot)))),
      ),
    );
  }

  /** The KV state of somebody else, before a sequence is held: a slow transfer must not keep one busy. */
  #state(leg: LegPlan): Observable<PulledState | undefined> {
    return leg.kind === 'decode' ? this.parts.pull.pull(leg.ticket, this.plan.prompt.length - 1) : of(undefined);
  }

  /** Brings the KV of all but the last prompt token into the slot: loaded, or evaluated here. */
  #prepare(slot: SequenceSlot, state: PulledState | undefined): Observable<never> {
    const { counters } = this.parts;
    const { prompt } = this.plan;
    const evaluated = prefill(slot, prompt, counters).pipe(
      tap(({ reusedTokens }) => {
        this.#cachedTokens = reusedTokens;
        counters.promptTokens.prefix_cache += reusedTokens;
      }),
      ignoreElements(),
    );
    if (state === undefined) return evaluated;
    const recomputed = (reason: Extract<PulledState, { kind: 'none' }>['reason']): Observable<never> => {
      counters.recomputed[reason] += 1;
      return evaluated;
    };
    if (state.kind === 'none') return defer(() => recomputed(state.reason));
    const { file } = state;
    return abortable(() =>
      file.use(() => slot.use(() => counters.time('handoff', () => slot.load(file.path, prompt)))),
    ).pipe(
      switchMap((isLoaded) => {
        void file.remove();
        if (!isLoaded) return recomputed('damaged');
        counters.promptTokens.handoff += prompt.length - 1;
        return from<never[]>([]);
      }),
    );
  }

  #choices(slot: SequenceSlot): Observable<IndexedDelta>[] {
    return Array.from({ length: this.plan.choices }, (_, index) => {
      const choice = this.#choice(slot, index).pipe(map((delta) => ({ index, delta })));
      if (index === 0) return choice;
      // Back to the prompt: of the choice before, nothing may be left.
      return concat(prefill(slot, this.plan.prompt, this.parts.counters).pipe(ignoreElements()), choice);
    });
  }

  #choice(slot: SequenceSlot, choice: number): Observable<ChoiceDelta> {
    return defer(() => {
      const { runtime, counters } = this.parts;
      const { plan, request } = this;
      const writer = new ChoiceWriter(plan, runtime.vocabulary, request.api !== 'generate');
      const decoded = decodeChoice(slot, {
        plan,
        choice,
        writer,
        runtime,
        counters,
        valve: request.valve,
        onSample: () => (this.#completionTokens += 1),
      });
      return plan.echo ? concat(of({ ...NO_DELTA, text: this.#promptText() }), decoded) : decoded;
    });
  }

  #promptText(): string {
    const prompt = this.request.body['prompt'];
    if (typeof prompt === 'string') return prompt;
    return this.parts.runtime.vocabulary.detokenize(this.plan.prompt);
  }
}
