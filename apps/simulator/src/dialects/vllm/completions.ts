import { badRequest } from '../../engine/engine-error.js';
import type { Engine } from '../../engine/engine.js';
import { collect, mergedSteps, type WholeChoice } from '../../engine/collect.js';
import { promptLogprobs } from '../../engine/logprobs.js';
import type { Run } from '../../engine/run.js';
import type { Sampling, TokenLogprob } from '../../engine/sampling.js';
import { detokenize, tokenize } from '../../engine/vocabulary.js';
import type { InferenceAnswer } from '../../http/answer.js';
import { idsOf, type JsonObject } from '../../json.js';
import type { DialectOptions } from '../dialect.js';
import { countedAlternatives, promptAlternatives, shownFinish } from './answer-fields.js';
import { answerId, nowSeconds } from './ids.js';
import { assertAvailable } from './if-available.js';
import { assertHasPrompt, assertModel, kvLegOf, refusing, topLevelParams } from './leg.js';
import { completionLogprobs, promptLogprobsJson } from './logprobs.js';
import { assertStreamOptions, samplingOf, type SamplingNames } from './sampling.js';
import { streamUsageOf, usageOf } from './usage.js';

export const COMPLETION_NAMES: SamplingNames = {
  maxTokens: ['max_tokens'],
  defaultMaxTokens: 16,
  logprobs: countedAlternatives,
};

/** The prompts of a completion: texts and lists of ids, one or several. */
export function promptsOf(body: JsonObject): number[][] {
  const { prompt } = body;
  const one = typeof prompt === 'string' ? tokenize(prompt) : idsOf(prompt);
  const several = Array.isArray(prompt)
    ? prompt.map((item: unknown) => (typeof item === 'string' ? tokenize(item) : idsOf(item)))
    : [];
  const prompts = one !== undefined && one.length > 0 ? [one] : several;
  if (prompts.length === 0 || prompts.some((ids) => ids === undefined || ids.length === 0))
    throw badRequest('prompt must be a non-empty string, a list of token ids, or a list of these.', 'prompt');
  return prompts.filter((ids) => ids !== undefined);
}

/** `POST /v1/completions`. */
export async function complete(engine: Engine, answer: InferenceAnswer, options: DialectOptions): Promise<void> {
  const { body, exchange, record } = answer;
  const { kv, rank } = kvLegOf(engine, answer, topLevelParams(body));
  const id = answerId('cmpl', exchange, body);
  const runs = refusing(kv, () => {
    assertModel(body, options.model);
    assertStreamOptions(body);
    const prompts = promptsOf(body);
    assertHasPrompt(kv, body['echo'] === true || promptAlternatives(body) !== undefined);
    assertAvailable(engine, exchange, prompts);
    return prompts.map((promptIds, index) => {
      const sampling = samplingOf(body, promptIds.length, COMPLETION_NAMES, engine.options);
      return { id: prompts.length === 1 ? id : `${id}-${index}`, promptIds, sampling, ...(index === 0 && { kv }) };
    });
  }).map((job) => engine.run({ ...job, rank, record, gone: answer.gone, onAccepted: answer.onAccepted }));
  const head = { id, object: 'text_completion', created: nowSeconds(), model: options.model };
  return body['stream'] === true ? stream(answer, runs, head) : whole(answer, runs, head);
}

async function whole(answer: InferenceAnswer, runs: readonly Run[], head: JsonObject): Promise<void> {
  const collected = await Promise.all(runs.map(collect));
  const choices = collected.flatMap((all, at) => {
    const run = runs[at];
    return run === undefined
      ? []
      : all.map((choice) => choiceJson(answer, run, choice, at * run.job.sampling.n + choice.index));
  });
  await answer.whole({
    ...head,
    choices,
    service_tier: null,
    system_fingerprint: null,
    usage: usageOf(runs),
    kv_transfer_params: runs[0]?.handedOver ?? null,
  });
}

function choiceJson(answer: InferenceAnswer, { job }: Run, choice: WholeChoice, index: number): JsonObject {
  const { body } = answer;
  const echoes = body['echo'] === true;
  const alternatives = promptAlternatives(body) ?? (echoes ? job.sampling.logprobs : undefined);
  const prompt = alternatives === undefined ? undefined : promptLogprobs(job.promptIds, alternatives);
  const echoed = echoes ? detokenize(job.promptIds) : '';
  return {
    index,
    text: echoed + choice.text,
    logprobs: job.sampling.logprobs === undefined ? null : completionLogprobs(listed(job, echoes, choice.logprobs), 0),
    finish_reason: shownFinish(answer, choice.finish),
    stop_reason: choice.stopReason,
    token_ids: body['return_token_ids'] === true ? choice.ids : null,
    prompt_logprobs: prompt === undefined ? null : promptLogprobsJson(prompt),
    prompt_token_ids: body['return_token_ids'] === true ? job.promptIds : null,
  };
}

/** The tokens whose logprobs a choice lists: with `echo`, the prompt's too. */
function listed(
  { promptIds, sampling }: { readonly promptIds: readonly number[]; readonly sampling: Sampling },
  echoes: boolean,
  logprobs: readonly TokenLogprob[],
): (TokenLogprob | { readonly id: number })[] {
  if (!echoes) return [...logprobs];
  const prompt = promptLogprobs(promptIds, sampling.logprobs ?? 0);
  return [...prompt.map((token, index) => token ?? { id: promptIds[index] ?? 0 }), ...logprobs];
}

async function stream(answer: InferenceAnswer, runs: readonly Run[], head: JsonObject): Promise<void> {
  const { body } = answer;
  const events = answer.events();
  const usage = streamUsageOf(body);
  const shown = new Map<number, number>();
  for await (const { run: at, step } of mergedSteps(runs)) {
    const run = runs[at];
    if (run === undefined) continue;
    const { job } = run;
    const index = at * job.sampling.n + step.choice;
    const isFirst = !shown.has(index);
    const echoes = isFirst && body['echo'] === true;
    const offset = shown.get(index) ?? 0;
    const text = (echoes ? detokenize(job.promptIds) : '') + step.text;
    shown.set(index, offset + text.length);
    const choice = {
      index,
      text,
      logprobs:
        job.sampling.logprobs === undefined ? null : completionLogprobs(listed(job, echoes, step.logprobs), offset),
      finish_reason: shownFinish(answer, step.finish),
      stop_reason: step.stopReason,
      ...(body['return_token_ids'] === true && {
        token_ids: step.tokenIds,
        ...(isFirst && { prompt_token_ids: job.promptIds }),
      }),
    };
    await events.event(
      { ...head, choices: [choice], ...(usage.continuous && { usage: usageOf([run]) }) },
      step.tokenIds.length,
    );
  }
  if (usage.final) await events.event({ ...head, choices: [], usage: usageOf(runs) });
  await events.done();
}
