import type { Run } from './run.js';
import type { FinishReason, Step, TokenLogprob } from './sampling.js';

/** A choice of an answer that is complete. */
export interface WholeChoice {
  readonly index: number;
  readonly ids: readonly number[];
  readonly text: string;
  readonly logprobs: readonly TokenLogprob[];
  readonly finish: FinishReason;
  readonly stopReason: Step['stopReason'];
}

/** Runs to the end and gives the choices whole. */
export async function collect(run: Run): Promise<WholeChoice[]> {
  const steps = Array.from({ length: run.job.sampling.n }, (): Step[] => []);
  for await (const step of run.steps()) steps[step.choice]?.push(step);
  return steps.map((all, index) => ({
    index,
    ids: all.flatMap(({ tokenIds }) => tokenIds),
    text: all.map(({ text }) => text).join(''),
    logprobs: all.flatMap(({ logprobs }) => logprobs),
    finish: all.at(-1)?.finish ?? 'abort',
    stopReason: all.at(-1)?.stopReason ?? null,
  }));
}

/** A step, and which of several runs it is of. */
export interface MergedStep {
  readonly run: number;
  readonly step: Step;
}

/** The steps of several runs as they come. Leaving it ends them all. */
export async function* mergedSteps(runs: readonly Run[]): AsyncGenerator<MergedStep, void, undefined> {
  const sources = runs.map((run) => run.steps());
  const nexts = new Map(sources.map((_, index) => [index, next(sources, index)]));
  try {
    while (nexts.size > 0) {
      const { index, result } = await Promise.race(nexts.values());
      if (result.done === true) {
        nexts.delete(index);
        continue;
      }
      yield { run: index, step: result.value };
      nexts.set(index, next(sources, index));
    }
  } finally {
    for (const pending of nexts.values()) pending.catch(() => undefined);
    await Promise.allSettled(sources.map((source) => source.return()));
  }
}

const next = async (sources: readonly AsyncGenerator<Step, void, undefined>[], index: number) => ({
  index,
  result: (await sources[index]?.next()) ?? { done: true as const, value: undefined },
});
