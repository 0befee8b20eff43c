import { collect, mergedSteps } from '../../engine/collect.js';
import { EngineError } from '../../engine/engine-error.js';
import type { Engine } from '../../engine/engine.js';
import type { Run } from '../../engine/run.js';
import type { InferenceAnswer } from '../../http/answer.js';
import type { JsonObject } from '../../json.js';
import { ofEachPrompt, type KvPart } from '../openai/parts.js';
import { outputJson, type Output } from './generate-answer.js';
import { generatePrompts, generateSampling } from './generate-request.js';
import { ridOf } from './ids.js';
import { kvPartOf, sideSampling } from './kv-fields.js';
import type { SglangOptions } from './sglang-options.js';

/** An error in a stream of `/generate`, which has a shape of its own. */
export class GenerateStreamError extends EngineError {}

/** `POST /generate`. */
export async function generate(engine: Engine, answer: InferenceAnswer, options: SglangOptions): Promise<void> {
  const { body, record } = answer;
  const { prompts, isBatch } = generatePrompts(body);
  const partOf = (index: number): KvPart => kvPartOf(engine, answer, index);
  const jobs = ofEachPrompt(prompts, partOf, (promptIds, { kv, rank }, index) => {
    const sampling = sideSampling(generateSampling(body, index, promptIds.length, engine.options), kv);
    return { id: ridOf(body, index), promptIds, sampling, kv, rank, record, gone: answer.gone };
  });
  const runs = jobs.map((job) => engine.run(job));
  const isSingle = !isBatch && runs[0]?.job.sampling.n === 1;
  if (body['stream'] !== true) return whole(answer, runs, isSingle);
  try {
    await stream(answer, runs, isSingle, options.streamOutput === true);
  } catch (error) {
    if (!(error instanceof EngineError) || !answer.exchange.response.headersSent) throw error;
    throw new GenerateStreamError(error.status, error.message, error.param, error.type);
  }
}

async function whole(answer: InferenceAnswer, runs: readonly Run[], isSingle: boolean): Promise<void> {
  const all = await Promise.all(runs.map(async (run) => ({ run, choices: await collect(run) })));
  const outputs = all.flatMap(({ run, choices }) =>
    choices.map((choice) => outputJson(answer, run, { ...choice, completionTokens: choice.ids.length })),
  );
  const [only] = outputs;
  await answer.whole(isSingle && only !== undefined ? only : outputs);
}

const NOTHING: Output = {
  ids: [],
  text: '',
  logprobs: [],
  finish: undefined,
  stopReason: null,
  completionTokens: 0,
};

async function stream(
  answer: InferenceAnswer,
  runs: readonly Run[],
  isSingle: boolean,
  isIncremental: boolean,
): Promise<void> {
  const events = answer.events();
  // The head is out before anything is known: whatever fails from here on is an event.
  events.open();
  const sofar = new Map<number, Output>();
  for await (const { run: at, step } of mergedSteps(runs)) {
    const run = runs[at];
    if (run === undefined) continue;
    const index = at * run.job.sampling.n + step.choice;
    const before = sofar.get(index) ?? NOTHING;
    const told = isIncremental ? NOTHING : before;
    const output: Output = {
      ids: [...told.ids, ...step.tokenIds],
      text: told.text + step.text,
      logprobs: [...told.logprobs, ...step.logprobs],
      finish: step.finish,
      stopReason: step.stopReason,
      completionTokens: before.completionTokens + step.tokenIds.length,
    };
    sofar.set(index, output);
    const data: JsonObject = { ...outputJson(answer, run, output), ...(!isSingle && { index }) };
    await events.event(data, step.tokenIds.length);
  }
  await events.done();
}
