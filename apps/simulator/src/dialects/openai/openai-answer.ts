import { collect, mergedSteps } from '../../engine/collect.js';
import type { Run } from '../../engine/run.js';
import type { InferenceAnswer } from '../../http/answer.js';
import type { JsonObject } from '../../json.js';
import { shownFinish } from '../vllm/answer-fields.js';
import { nowSeconds } from '../vllm/ids.js';
import { streamUsageOf, usageOf } from '../vllm/usage.js';
import { echoOf, NO_ECHO } from './echo.js';
import { CHOICE_FORMS } from './openai-choices.js';
import type { OpenAiApi, OpenAiServer } from './openai-server.js';
import { ofEachPrompt, type KvPart } from './parts.js';

/** Answers a request to one of the OpenAI endpoints. */
export async function answerOpenAi(server: OpenAiServer, api: OpenAiApi, answer: InferenceAnswer): Promise<void> {
  const { body, record } = answer;
  const id = server.idOf(api, answer);
  const prompts = server.promptsOf(api, body);
  const partOf = (index: number): KvPart => server.kvOf(answer, index, prompts.length);
  const jobs = ofEachPrompt(prompts, partOf, (promptIds, { kv, rank }) => {
    const sampling = server.samplingOf(api, body, promptIds.length, kv);
    return { id, promptIds, sampling, kv, rank, record, gone: answer.gone };
  });
  const runs = jobs.map((job) => server.engine.run(job));
  const head = { id, created: nowSeconds(), model: server.model };
  return body['stream'] === true ? stream(server, api, answer, runs, head) : whole(server, api, answer, runs, head);
}

async function whole(
  server: OpenAiServer,
  api: OpenAiApi,
  answer: InferenceAnswer,
  runs: readonly Run[],
  head: JsonObject,
): Promise<void> {
  const form = CHOICE_FORMS[api];
  const collected = await Promise.all(runs.map(async (run) => ({ run, choices: await collect(run) })));
  const choices = collected.flatMap(({ run, choices: all }, at) =>
    all.map((choice) => {
      const { sampling } = run.job;
      const echo = echoOf(server, api, answer, run);
      const index = at * sampling.n + choice.index;
      const [text, finish] = [echo.text + choice.text, shownFinish(answer, choice.finish)];
      const logprobs = sampling.logprobs === undefined ? undefined : [...echo.logprobs, ...choice.logprobs];
      const piece = { index, text, logprobs, offset: 0, finish };
      return { ...form.whole(piece), ...server.choiceFields?.(answer, run, choice) };
    }),
  );
  const more = server.answerFields?.(answer, runs);
  await answer.whole({ ...head, object: form.object, choices, usage: usageOf(runs), ...more });
}

async function stream(
  server: OpenAiServer,
  api: OpenAiApi,
  answer: InferenceAnswer,
  runs: readonly Run[],
  ids: JsonObject,
): Promise<void> {
  const form = CHOICE_FORMS[api];
  const events = answer.events();
  const usage = streamUsageOf(answer.body);
  const head = { ...ids, object: form.chunkObject };
  const shown = new Map<number, number>();
  let open = runs.reduce((sum, { job }) => sum + job.sampling.n, 0);
  for await (const { run: at, step } of mergedSteps(runs)) {
    const run = runs[at];
    if (run === undefined) continue;
    const { sampling } = run.job;
    const index = at * sampling.n + step.choice;
    const continuous = usage.continuous ? { usage: usageOf([run]) } : {};
    if (!shown.has(index) && form.opening !== undefined)
      await events.event({ ...head, choices: [form.opening(index)], ...continuous });
    const echo = shown.has(index) ? NO_ECHO : echoOf(server, api, answer, run);
    const offset = shown.get(index) ?? 0;
    const text = echo.text + step.text;
    shown.set(index, offset + text.length);
    const logprobs = sampling.logprobs === undefined ? undefined : [...echo.logprobs, ...step.logprobs];
    const piece = { index, text, logprobs, offset, finish: shownFinish(answer, step.finish) };
    const told = { ids: step.tokenIds, finish: step.finish, stopReason: step.stopReason };
    const choice = { ...form.delta(piece), ...server.choiceFields?.(answer, run, told) };
    if (step.finish !== undefined) open -= 1;
    const more = open === 0 && step.finish !== undefined ? server.answerFields?.(answer, runs) : undefined;
    await events.event({ ...head, choices: [choice], ...continuous, ...more }, step.tokenIds.length);
  }
  if (usage.final) await events.event({ ...head, choices: [], usage: usageOf(runs) });
  await events.done();
}
