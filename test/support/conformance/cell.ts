import type { Deployment, SplitManager } from '../deployment.js';
import type { SimulatorProcess } from '../simulator-process.js';
import type { Aggregated } from './aggregated.js';
import { answerProblems, ask, type AnswerCheck, type Asked } from './ask.js';
import { bookProblems, booksAfter, booksOf, soon } from './books.js';
import type { Api, EngineKind } from './cases.js';
import { differences, listAt, type Json } from './json.js';
import { legProblems, legsOf } from './legs/check-legs.js';
import type { Wire } from './legs/wire.js';

/** One cell of the matrix: a connector, a manager, an api, streamed or not. */
export interface Cell extends AnswerCheck {
  readonly deployment: Deployment<SimulatorProcess>;
  readonly manager: SplitManager;
  readonly wire: Wire;
  /** vLLM's names for tokens, which are those of all simulators. */
  readonly texts: Aggregated;
  readonly kind: EngineKind;
  readonly api: Api;
  readonly stream: boolean;
}

/** What was found. */
export interface Outcome {
  readonly requests: number;
  readonly problems: readonly string[];
}

/** Sends every request of the cell, and checks the answers, the legs and what is left behind. */
export async function runCell(cell: Cell): Promise<Outcome> {
  const { deployment, wire, texts, kind, api, stream } = cell;
  const { prefill, decode, instance } = deployment;
  const before = await booksOf(instance);
  await Promise.all([prefill.forget(), decode.forget()]);
  const requests = await texts.cases(api, stream, kind);
  const asked: Asked[] = [];
  for (const request of requests) asked.push(await ask(instance.url, request));
  const decodes = requests.reduce((sum, request) => sum + wire.decodes(request), 0);
  const legs = await legsOf(deployment, decodes);
  const problems = await Promise.all(
    asked.map(async (each) => {
      const found = [...(await answerProblems(cell, each)), ...(await legProblems(cell, each, legs))];
      return found.map((problem) => `${each.request.name}: ${problem}`);
    }),
  );
  const books = booksAfter(
    before,
    requests.map((request) => wire.settles(request)),
  );
  const left = await soon(async () => [...(await bookProblems(instance, books)), ...(await ledgerProblems(cell))]);
  return { requests: requests.length, problems: [...problems.flat(), ...left] };
}

/** Blocks that either engine still holds. */
async function ledgerProblems({ deployment, wire }: Cell): Promise<string[]> {
  const [p, d] = await Promise.all([heldBy(deployment.prefill), heldBy(deployment.decode)]);
  // What lies in a cache nobody owes: it goes when the cache wants it to.
  const owed = wire.leavesInCache === true ? d.filter(({ state }) => state !== 'received') : d;
  return [
    ...differences(p, []).map((problem) => `ledger of P: ${problem}`),
    ...differences(owed, []).map((problem) => `ledger of D: ${problem}`),
  ];
}

async function heldBy(simulator: SimulatorProcess): Promise<readonly Json[]> {
  return listAt(await simulator.get('ledger'), 'held') as readonly Json[];
}
