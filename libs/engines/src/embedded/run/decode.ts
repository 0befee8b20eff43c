import { randomInt } from 'node:crypto';
import type { FlowValve } from '@baton/inference';
import type { SequenceEvaluateOptions } from 'node-llama-cpp';
import { filter, lastValueFrom, Observable, Subject, take, takeUntil } from 'rxjs';
import type { ChoiceDelta, ChoiceWriter } from './choice-writer.js';
import type { EngineCounters } from '../engine-counters.js';
import type { LlamaRuntime } from '../llama/llama-runtime.js';
import type { RequestPlan } from '../request/request-plan.js';
import { toSeed } from '../request/sampling.js';
import type { SequenceSlot } from '../llama/sequence-slot.js';

/** What decoding one choice needs besides its slot. */
export interface DecodeOptions {
  readonly plan: RequestPlan;
  readonly choice: number;
  readonly writer: ChoiceWriter;
  readonly runtime: LlamaRuntime;
  readonly counters: EngineCounters;
  readonly valve: FlowValve;
  readonly onSample: () => void;
}

/**
 * Evaluates the prompt's last token and decodes from there, token by token, until `writer` says that the choice is
 * finished. The next token is not asked for while the valve is closed. After unsubscribing, at most the
 * token under way is evaluated.
 */
export function decodeChoice(slot: SequenceSlot, options: DecodeOptions): Observable<ChoiceDelta> {
  return new Observable((subscriber) => {
    const { plan, writer, counters, valve } = options;
    const gone = new Subject<void>();
    subscriber.add(() => gone.next());
    const isGone = (): boolean => subscriber.closed;
    const untilOpen = (): Promise<boolean> =>
      lastValueFrom(valve.state$.pipe(filter(Boolean), take(1), takeUntil(gone)), { defaultValue: false });

    const decode = async (): Promise<void> => {
      const last = plan.prompt.at(-1);
      if (last === undefined) throw new Error('The prompt is empty.');
      counters.promptTokens.evaluated += 1;
      for await (const sample of slot.sample(last, evaluateOptions(options), plan.logprobs !== undefined)) {
        counters.sampledTokens += 1;
        options.onSample();
        const delta = writer.push(sample);
        if (delta !== undefined) subscriber.next(delta);
        if (writer.isFinished || isGone()) break;
        if (!valve.isOpen) await untilOpen();
        if (isGone()) break;
      }
      subscriber.complete();
    };
    if (!isGone()) slot.use(decode).catch((error: unknown) => subscriber.error(error));
  });
}

function evaluateOptions({ plan, choice, writer, runtime }: DecodeOptions): SequenceEvaluateOptions {
  const { sampling, stop, minTokens, prompt } = plan;
  const { presencePenalty, frequencyPenalty, repetitionPenalty, logitBias } = sampling;
  // Until min_tokens, nothing that would end the answer may be sampled.
  const held = new Map([
    ...logitBias,
    ...[...runtime.vocabulary.endIds, ...stop.tokenIds].map((id): [number, number] => [id, -Infinity]),
  ]);
  const late = logitBias.size > 0 ? runtime.tokenBias(logitBias) : undefined;
  const early = minTokens > 0 ? runtime.tokenBias(held) : undefined;
  const none = runtime.tokenBias(new Map());
  const hasPenalty = presencePenalty !== 0 || frequencyPenalty !== 0 || repetitionPenalty !== 1;
  // OpenAI's penalties count what was generated, repetition_penalty the prompt as well; llama.cpp knows one list.
  const countsPrompt = presencePenalty === 0 && frequencyPenalty === 0;
  return {
    temperature: sampling.temperature,
    topP: sampling.topP,
    topK: sampling.topK,
    minP: sampling.minP,
    // The library's own default is the time in seconds: the same for all requests of a second.
    seed: sampling.seed === undefined ? randomInt(2 ** 32) : toSeed(sampling.seed + choice),
    yieldEogToken: true,
    ...((early ?? late) && {
      tokenBias: () => (writer.sampled.length < minTokens ? early : late) ?? none,
    }),
    ...(hasPenalty && {
      repeatPenalty: {
        punishTokens: () => [...(countsPrompt ? prompt : []), ...writer.sampled] as never[],
        maxPunishTokens: prompt.length + plan.maxTokens,
        penalty: repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
      },
    }),
  };
}
