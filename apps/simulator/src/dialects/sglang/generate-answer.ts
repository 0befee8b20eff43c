import { promptLogprobs } from '../../engine/logprobs.js';
import type { Run } from '../../engine/run.js';
import type { FinishReason, Step, TokenLogprob } from '../../engine/sampling.js';
import { EOS, tokenText } from '../../engine/vocabulary.js';
import type { InferenceAnswer } from '../../http/answer.js';
import { faultOf } from '../../http/request-record.js';
import type { JsonObject } from '../../json.js';
import { promptLogprobsFrom } from './generate-request.js';

/** What of a choice is known: the whole of it, or what an event tells. */
export interface Output {
  readonly ids: readonly number[];
  readonly text: string;
  readonly logprobs: readonly TokenLogprob[];
  readonly finish: FinishReason | undefined;
  readonly stopReason: Step['stopReason'];
  /** Tokens so far, told or not. */
  readonly completionTokens: number;
}

/** One answer of `/generate`, whole or so far. */
export const outputJson = (answer: InferenceAnswer, run: Run, output: Output): JsonObject => ({
  text: output.text,
  output_ids: output.ids,
  meta_info: {
    id: run.job.id,
    finish_reason: finishJson(answer, run, output),
    prompt_tokens: run.promptTokens,
    weight_version: 'default',
    completion_tokens: output.completionTokens,
    cached_tokens: run.cachedTokens,
    ...logprobFields(answer, run, output.logprobs),
  },
});

/** An object, unlike in the OpenAI endpoints. */
function finishJson({ record }: InferenceAnswer, run: Run, { finish, stopReason }: Output): JsonObject | null {
  if (finish === undefined || faultOf(record, 'no_finish_reason') !== undefined) return null;
  switch (finish) {
    case 'stop':
      return { type: 'stop', matched: stopReason ?? EOS };
    case 'length':
      return { type: 'length', length: run.job.sampling.maxTokens };
    case 'abort':
      return { type: 'abort', message: 'Aborted', status_code: null, err_type: null };
  }
}

type Triple = readonly [number | null, number, string | null];

/** `[logprob, token id, text]`, the text only when it is asked for. */
function logprobFields({ body }: InferenceAnswer, run: Run, logprobs: readonly TokenLogprob[]): JsonObject {
  const alternatives = run.job.sampling.logprobs;
  if (alternatives === undefined) return {};
  const triple = (id: number, logprob: number | null): Triple => [
    logprob,
    id,
    body['return_text_in_logprobs'] === true ? tokenText(id) : null,
  ];
  const top = (token: TokenLogprob | null): Triple[] | null =>
    token === null ? null : token.top.map(({ id, logprob }) => triple(id, logprob));
  const from = promptLogprobsFrom(body);
  // A decode has not seen the prompt: only its prefill tells these.
  const isDecode = run.job.kv?.leg === 'decode';
  const { promptIds } = run.job;
  const prompt = from === undefined || isDecode ? [] : promptLogprobs(promptIds, alternatives).slice(from);
  return {
    input_token_logprobs: prompt.map((token, index) =>
      triple(promptIds[(from ?? 0) + index] ?? 0, token?.logprob ?? null),
    ),
    output_token_logprobs: logprobs.map(({ id, logprob }) => triple(id, logprob)),
    ...(alternatives > 0 && { input_top_logprobs: prompt.map(top), output_top_logprobs: logprobs.map(top) }),
  };
}
