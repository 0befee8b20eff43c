import { renderChat } from '../../engine/chat-template.js';
import { collect, type WholeChoice } from '../../engine/collect.js';
import type { Engine } from '../../engine/engine.js';
import { promptLogprobs } from '../../engine/logprobs.js';
import type { Run } from '../../engine/run.js';
import type { FinishReason, Step } from '../../engine/sampling.js';
import { tokenize } from '../../engine/vocabulary.js';
import type { InferenceAnswer } from '../../http/answer.js';
import { isObject, stringOf, type JsonObject } from '../../json.js';
import type { DialectOptions } from '../dialect.js';
import { chatAlternatives, promptAlternatives, shownFinish } from './answer-fields.js';
import { answerId, nowSeconds } from './ids.js';
import { assertAvailable } from './if-available.js';
import { assertHasPrompt, assertModel, kvLegOf, refusing, topLevelParams } from './leg.js';
import { chatLogprobs, promptLogprobsJson } from './logprobs.js';
import { assertStreamOptions, samplingOf, type SamplingNames } from './sampling.js';
import { firstCallDelta, forcedTool, nextCallDelta, wholeCall } from './tool-calls.js';
import { streamUsageOf, usageOf } from './usage.js';

export const CHAT_NAMES: SamplingNames = {
  maxTokens: ['max_completion_tokens', 'max_tokens'],
  defaultMaxTokens: undefined,
  logprobs: chatAlternatives,
};

/** The prompt of a chat request. */
export function chatPrompt(body: JsonObject): string {
  const continues = body['continue_final_message'] === true;
  return renderChat(body['messages'], {
    addGenerationPrompt: body['add_generation_prompt'] !== false,
    continueFinalMessage: continues,
    tools: Array.isArray(body['tools']) ? body['tools'] : [],
  });
}

/** `POST /v1/chat/completions`. */
export async function chat(engine: Engine, answer: InferenceAnswer, options: DialectOptions): Promise<void> {
  const { body, exchange, record } = answer;
  const { kv, rank } = kvLegOf(engine, answer, topLevelParams(body));
  const id = answerId('chatcmpl', exchange, body);
  const run = refusing(kv, () => {
    assertModel(body, options.model);
    assertStreamOptions(body);
    assertHasPrompt(kv, promptAlternatives(body) !== undefined);
    const promptIds = tokenize(chatPrompt(body));
    assertAvailable(engine, exchange, [promptIds]);
    const sampling = samplingOf(body, promptIds.length, CHAT_NAMES, engine.options);
    return engine.run({ id, promptIds, sampling, kv, rank, record, gone: answer.gone, onAccepted: answer.onAccepted });
  });
  const head = { id, created: nowSeconds(), model: options.model };
  return body['stream'] === true ? stream(answer, run, head) : whole(answer, run, head);
}

/** With `echo`, an answer that goes on with the assistant's last message begins with it. */
function echoed(body: JsonObject): string {
  const last: unknown = Array.isArray(body['messages']) ? body['messages'].at(-1) : undefined;
  const own = body['echo'] === true && isObject(last) && last['role'] === 'assistant';
  return own ? (stringOf(last['content']) ?? '') : '';
}

async function whole(answer: InferenceAnswer, run: Run, head: JsonObject): Promise<void> {
  const { body } = answer;
  const choices = (await collect(run)).map((choice) => choiceJson(answer, run, choice));
  const alternatives = promptAlternatives(body);
  await answer.whole({
    ...head,
    object: 'chat.completion',
    choices,
    service_tier: null,
    system_fingerprint: null,
    usage: usageOf([run]),
    prompt_logprobs:
      alternatives === undefined ? null : promptLogprobsJson(promptLogprobs(run.job.promptIds, alternatives)),
    prompt_token_ids: body['return_token_ids'] === true ? run.job.promptIds : null,
    kv_transfer_params: run.handedOver ?? null,
  });
}

function choiceJson(answer: InferenceAnswer, { job }: Run, choice: WholeChoice): JsonObject {
  const { body } = answer;
  const tool = forcedTool(body);
  return {
    index: choice.index,
    message: {
      role: 'assistant',
      content: tool === undefined ? echoed(body) + choice.text : null,
      refusal: null,
      annotations: null,
      audio: null,
      function_call: null,
      tool_calls:
        tool === undefined ? [] : [wholeCall(tool, job.id, choice.index, choice.text, choice.finish === 'stop')],
      reasoning_content: null,
    },
    logprobs: job.sampling.logprobs === undefined ? null : chatLogprobs(choice.logprobs),
    finish_reason: chatFinish(answer, choice.finish),
    stop_reason: choice.stopReason,
    token_ids: body['return_token_ids'] === true ? choice.ids : null,
  };
}

async function stream(answer: InferenceAnswer, run: Run, ids: JsonObject): Promise<void> {
  const { body } = answer;
  const events = answer.events();
  const usage = streamUsageOf(body);
  const head = { ...ids, object: 'chat.completion.chunk' };
  const current = (): JsonObject => (usage.continuous ? { usage: usageOf([run]) } : {});
  const tool = forcedTool(body);
  let begun = false;
  for await (const step of run.steps()) {
    if (!begun) {
      begun = true;
      for (let index = 0; index < run.job.sampling.n; index++) {
        const choice = {
          index,
          delta: { role: 'assistant', content: tool === undefined ? echoed(body) : '' },
          logprobs: null,
          finish_reason: null,
        };
        const prompt = body['return_token_ids'] === true ? { prompt_token_ids: run.job.promptIds } : {};
        await events.event({ ...head, choices: [choice], ...prompt, ...current() });
        if (tool === undefined) continue;
        const delta = firstCallDelta(tool, run.job.id, index);
        await events.event({ ...head, choices: [{ ...choice, delta }], ...current() });
      }
    }
    const handedOver = run.handedOver === undefined ? {} : { kv_transfer_params: run.handedOver };
    await events.event(
      { ...head, choices: [deltaJson(answer, run, step)], ...current(), ...handedOver },
      step.tokenIds.length,
    );
  }
  if (usage.final) await events.event({ ...head, choices: [], usage: usageOf([run]) });
  await events.done();
}

/** An answer that stops after a call ends for its sake. */
function chatFinish(answer: InferenceAnswer, finish: FinishReason | undefined): string | null {
  const shown = shownFinish(answer, finish);
  return shown === 'stop' && forcedTool(answer.body) !== undefined ? 'tool_calls' : shown;
}

function deltaJson(answer: InferenceAnswer, { job }: Run, step: Step): JsonObject {
  const isCall = forcedTool(answer.body) !== undefined;
  return {
    index: step.choice,
    delta: isCall ? nextCallDelta(step.text, step.finish === 'stop') : { content: step.text },
    logprobs: job.sampling.logprobs === undefined ? null : chatLogprobs(step.logprobs),
    finish_reason: chatFinish(answer, step.finish),
    ...(step.finish !== undefined && { stop_reason: step.stopReason }),
    ...(answer.body['return_token_ids'] === true && { token_ids: step.tokenIds }),
  };
}
