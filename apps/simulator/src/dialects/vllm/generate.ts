import { badRequest } from '../../engine/engine-error.js';
import { collect } from '../../engine/collect.js';
import type { Engine } from '../../engine/engine.js';
import { promptLogprobs } from '../../engine/logprobs.js';
import type { Run } from '../../engine/run.js';
import { VOCABULARY_SIZE } from '../../engine/vocabulary.js';
import type { InferenceAnswer } from '../../http/answer.js';
import { faultOf, type RequestRecord } from '../../http/request-record.js';
import { idsOf, objectOf, type JsonObject } from '../../json.js';
import type { DialectOptions } from '../dialect.js';
import { countedAlternatives, promptAlternatives, shownFinish } from './answer-fields.js';
import { answerId, nowSeconds } from './ids.js';
import { assertAvailable } from './if-available.js';
import { assertHasPrompt, assertModel, kvLegOf } from './leg.js';
import { chatLogprobs, promptLogprobsJson, tokenLogprobs } from './logprobs.js';
import { assertStreamOptions, samplingOf, type SamplingNames } from './sampling.js';
import { streamUsageOf, usageOf } from './usage.js';

export const GENERATE_NAMES: SamplingNames = {
  maxTokens: ['max_tokens'],
  defaultMaxTokens: undefined,
  logprobs: countedAlternatives,
};

/** What the request says about the KV transfer: at the top (since 0.29), or nested as older servers want it. */
export function generateParams(
  body: JsonObject,
  ignores: { readonly top: boolean; readonly nested: boolean },
): JsonObject | undefined {
  const extra = objectOf(objectOf(body['sampling_params'])?.['extra_args']);
  const nested = ignores.nested ? undefined : objectOf(extra?.['kv_transfer_params']);
  return (ignores.top ? undefined : objectOf(body['kv_transfer_params'])) ?? nested;
}

const ignoredBy = (record: RequestRecord): { readonly top: boolean; readonly nested: boolean } => ({
  top: faultOf(record, 'ignore_top_level_params') !== undefined,
  nested: faultOf(record, 'ignore_extra_args_params') !== undefined,
});

/** What a leg is by all its marks, whether or not the server is made to overlook some. */
export const markedParams = (body: JsonObject): JsonObject | undefined =>
  generateParams(body, { top: false, nested: false });

/** `POST /inference/v1/generate`: token ids in, token ids out. */
export async function generate(engine: Engine, answer: InferenceAnswer, options: DialectOptions): Promise<void> {
  const { body, exchange, record } = answer;
  if (exchange.header('content-type')?.startsWith('application/json') !== true)
    throw badRequest('Unsupported Media Type: Only `application/json` is allowed.');
  assertModel(body, options.model);
  const promptIds = idsOf(body['token_ids']);
  if (promptIds === undefined || promptIds.length === 0)
    throw badRequest('token_ids must be a non-empty list of non-negative integers.', 'token_ids');
  if (promptIds.some((id) => id >= VOCABULARY_SIZE)) throw badRequest('Token id is out of vocabulary.', 'token_ids');
  const params = objectOf(body['sampling_params']);
  if (params === undefined) throw badRequest('sampling_params is required.', 'sampling_params');
  assertStreamOptions({ ...params, stream: body['stream'], stream_options: body['stream_options'] });
  assertOutput(body, params, options);
  assertAvailable(engine, exchange, [promptIds]);
  const sampling = samplingOf(params, promptIds.length, GENERATE_NAMES, engine.options);
  // Refusals up to here tell nobody: what a prefill holds for this request stays held.
  const { kv, rank } = kvLegOf(engine, answer, generateParams(body, ignoredBy(record)), false);
  assertHasPrompt(kv, promptAlternatives(params) !== undefined);
  const id = answerId('generate-tokens', exchange, body);
  const run = engine.run({
    id,
    promptIds,
    sampling,
    kv,
    rank,
    record,
    gone: answer.gone,
    onAccepted: answer.onAccepted,
  });
  return body['stream'] === true ? stream(answer, run) : whole(answer, run, params, options);
}

function assertOutput(body: JsonObject, params: JsonObject, { tokensOnly }: DialectOptions): void {
  const mode = body['output_mode'] ?? 'tokens';
  if (mode !== 'tokens' && mode !== 'text')
    throw badRequest(`Unknown output_mode ${JSON.stringify(mode)}.`, 'output_mode');
  if (tokensOnly && mode === 'text') throw badRequest('output_mode "text" needs a tokenizer.', 'output_mode');
  const { stop } = params;
  const stops = stop === undefined || stop === null || (Array.isArray(stop) && stop.length === 0);
  if (tokensOnly && !stops) throw badRequest('stop strings need a tokenizer; use stop_token_ids.', 'stop');
}

const inText = (body: JsonObject): boolean => body['output_mode'] === 'text';

async function whole(answer: InferenceAnswer, run: Run, params: JsonObject, options: DialectOptions): Promise<void> {
  const { body } = answer;
  const choices = (await collect(run)).map((choice) => ({
    index: choice.index,
    token_ids: choice.ids,
    ...(inText(body) && { text: choice.text }),
    logprobs: logprobsJson(answer, run, choice.logprobs),
    finish_reason: shownFinish(answer, choice.finish),
    stop_reason: choice.stopReason,
  }));
  const alternatives = promptAlternatives(params);
  await answer.whole({
    request_id: run.job.id,
    model: options.model,
    created: nowSeconds(),
    choices,
    usage: usageOf([run]),
    prompt_logprobs:
      alternatives === undefined ? null : promptLogprobsJson(promptLogprobs(run.job.promptIds, alternatives)),
    prompt_token_ids: body['return_token_ids'] === true ? run.job.promptIds : null,
    kv_transfer_params: run.handedOver ?? null,
    ec_transfer_params: null,
    output_mode: body['output_mode'] ?? 'tokens',
  });
}

/** Chunks of this endpoint carry no `kv_transfer_params`. */
async function stream(answer: InferenceAnswer, run: Run): Promise<void> {
  const { body } = answer;
  const events = answer.events();
  const usage = streamUsageOf(body);
  const head = { request_id: run.job.id, output_mode: body['output_mode'] ?? 'tokens' };
  let begun = false;
  for await (const step of run.steps()) {
    const choice = {
      index: step.choice,
      token_ids: step.tokenIds,
      ...(inText(body) && { text: step.text }),
      logprobs: logprobsJson(answer, run, step.logprobs),
      finish_reason: shownFinish(answer, step.finish),
      stop_reason: step.stopReason,
    };
    const prompt = !begun && body['return_token_ids'] === true ? { prompt_token_ids: run.job.promptIds } : {};
    begun = true;
    await events.event(
      { ...head, choices: [choice], ...prompt, ...(usage.continuous && { usage: usageOf([run]) }) },
      step.tokenIds.length,
    );
  }
  if (usage.final) await events.event({ ...head, choices: [], usage: usageOf([run]) });
  await events.done();
}

function logprobsJson(
  { body }: InferenceAnswer,
  { job }: Run,
  logprobs: Parameters<typeof tokenLogprobs>[0],
): JsonObject | null {
  if (job.sampling.logprobs === undefined) return null;
  return inText(body) ? chatLogprobs(logprobs) : tokenLogprobs(logprobs);
}
