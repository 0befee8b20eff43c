import type { Deployment, SplitManager } from '../deployment.js';
import type { InstanceProcess } from '../instance-process.js';
import { holdings } from '../quiescence.js';
import type { Aggregated } from './aggregated.js';
import { answerProblems, ask } from './ask.js';
import { bookProblems, booksAfter, booksOf, soon } from './books.js';
import type { Api } from './cases.js';
import type { Outcome } from './cell.js';
import { differences, isJson, without, type Json } from './json.js';

/** A cell whose engines are Baton's own, which keep no record of what they were sent. */
export interface EmbeddedCell {
  readonly deployment: Deployment<InstanceProcess>;
  readonly manager: SplitManager;
  /** One of the two instances, asked by itself. */
  readonly whole: Aggregated;
  readonly api: Api;
  readonly stream: boolean;
}

/** Sends every request of the cell, and checks the answers and what is left behind. */
export async function runEmbeddedCell(cell: EmbeddedCell): Promise<Outcome> {
  const { deployment, whole, api, stream } = cell;
  const { prefill, decode, instance } = deployment;
  const before = await booksOf(instance);
  const requests = await whole.cases(api, stream);
  const problems: string[] = [];
  for (const request of requests) {
    const asked = await ask(instance.url, request);
    const found = await answerProblems({ ...cell, view: rounded }, asked);
    problems.push(...found.map((problem) => `${request.name}: ${problem}`));
  }
  const books = booksAfter(
    before,
    requests.map(() => 'taken'),
  );
  const left = await soon(async () => {
    const held = await Promise.all([prefill, decode].map(holdings));
    return [
      ...(await bookProblems(instance, books)),
      ...held.flatMap((holding) => differences(holding, NOTHING).map((problem) => `an engine holds ${problem}`)),
    ];
  });
  return { requests: requests.length, problems: [...problems, ...left] };
}

const NOTHING = { inFlight: 0, handoffs: 0, busySequences: 0, waiting: 0, tempFiles: 0 };

/**
 * The last digits of log probabilities depend on what was evaluated together, and cached tokens on what was asked
 * before: the tokens do not.
 */
function rounded(value: Json): Json {
  const { usage, ...answer } = value;
  return {
    ...(round(answer) as Json),
    usage: isJson(usage) ? without(usage, 'prompt_tokens_details') : usage,
  };
}

function round(value: unknown): unknown {
  if (typeof value === 'number') return Math.round(value * 100) / 100;
  if (Array.isArray(value)) return value.map(round);
  if (!isJson(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, round(item)]));
}
