import { collect, mergedSteps } from '../../engine/collect.js';
import type { Engine } from '../../engine/engine.js';
import type { Run } from '../../engine/run.js';
import type { FinishReason, Step, TokenLogprob } from '../../engine/sampling.js';
import { tokenText } from '../../engine/vocabulary.js';
import type { InferenceAnswer } from '../../http/answer.js';
import { faultOf } from '../../http/request-record.js';
import type { JsonObject } from '../../json.js';
import { nextRunId } from './ids.js';
import { llamaPrompts, llamaSampling, slotLegOf } from './completion-request.js';
import type { SlotLeg } from './slot-leg.js';
import type { Slots } from './slots.js';
import { timingsOf } from './timings.js';

/** A run, and the slot that it is in. */
interface Task {
  readonly run: Run;
  readonly slot: SlotLeg;
}

/** `POST /completion`: text or ids in, both out. */
export async function completion(engine: Engine, slots: Slots, answer: InferenceAnswer): Promise<void> {
  const { body, record, gone } = answer;
  const { prompts, isList } = llamaPrompts(body);
  const tasks = prompts.map((promptIds): Task => {
    const slot = slotLegOf(body, slots);
    const sampling = llamaSampling(body, promptIds.length, engine.options);
    return { slot, run: engine.run({ id: nextRunId(), promptIds, sampling, kv: slot, rank: 0, record, gone }) };
  });
  if (body['stream'] === true) return stream(answer, tasks);
  const all = await Promise.all(tasks.map(async (task) => ({ task, choices: await collect(task.run) })));
  const returnsTokens = body['return_tokens'] === true;
  const results = all.flatMap(({ task, choices }, at) =>
    choices.map((choice) => ({
      ...lastJson(answer, task, at * choices.length + choice.index, choice),
      content: choice.text,
      tokens: returnsTokens ? choice.ids : [],
      ...probabilities(task.run, choice.logprobs),
    })),
  );
  const [only] = results;
  await answer.whole(!isList && results.length === 1 && only !== undefined ? only : results);
}

/** Its streams have no end mark: the last event says so itself. */
async function stream(answer: InferenceAnswer, tasks: readonly Task[]): Promise<void> {
  const events = answer.events();
  const counts = new Map<number, number>();
  for await (const { run: at, step } of mergedSteps(tasks.map(({ run }) => run))) {
    const task = tasks[at];
    if (task === undefined) continue;
    const { run, slot } = task;
    const index = at * run.job.sampling.n + step.choice;
    const count = (counts.get(index) ?? 0) + step.tokenIds.length;
    counts.set(index, count);
    if (step.tokenIds.length > 0) {
      const piece = {
        index,
        content: step.text,
        tokens: step.tokenIds,
        stop: false,
        id_slot: slot.slotId,
        tokens_predicted: count,
        tokens_evaluated: run.promptTokens,
        ...probabilities(run, step.logprobs),
      };
      await events.event(piece, step.tokenIds.length);
    }
    if (step.finish === undefined) continue;
    const end = { ...lastJson(answer, task, index, { ...step, count }), content: '', tokens: [] };
    await events.event(end);
  }
  await answer.stopAt('done');
  await events.end();
}

/** How a choice ended. */
interface End {
  readonly finish?: FinishReason;
  readonly stopReason: Step['stopReason'];
  readonly ids?: readonly number[];
  readonly count?: number;
}

function lastJson({ body, record }: InferenceAnswer, { run, slot }: Task, index: number, end: End): JsonObject {
  const predicted = end.count ?? end.ids?.length ?? 0;
  return {
    index,
    id_slot: slot.slotId,
    stop: true,
    model: run.engine.options.model,
    tokens_predicted: predicted,
    tokens_evaluated: run.promptTokens,
    generation_settings: { n_predict: run.job.sampling.maxTokens, stream: body['stream'] === true },
    prompt: body['prompt'] ?? null,
    has_new_line: false,
    truncated: false,
    stop_type: faultOf(record, 'no_finish_reason') === undefined ? stopType(end) : 'none',
    stopping_word: typeof end.stopReason === 'string' ? end.stopReason : '',
    tokens_cached: run.promptTokens + predicted,
    timings: timingsOf(run, predicted),
  };
}

/** `none` when something other than the text ended it. */
function stopType({ finish, stopReason }: End): string {
  if (finish === 'stop') return typeof stopReason === 'string' ? 'word' : 'eos';
  return finish === 'length' ? 'limit' : 'none';
}

function probabilities({ job }: Run, logprobs: readonly TokenLogprob[]): JsonObject {
  if (job.sampling.logprobs === undefined) return {};
  const told = ({ id, logprob }: { id: number; logprob: number }): JsonObject => {
    const token = tokenText(id);
    return { id, token, bytes: [...Buffer.from(token)], logprob };
  };
  return {
    completion_probabilities: logprobs.map((token) => ({ ...told(token), top_logprobs: token.top.map(told) })),
  };
}
