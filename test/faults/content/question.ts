import { answerTo } from '../../../apps/simulator/src/engine/answer-tokens.js';
import { renderChat } from '../../../apps/simulator/src/engine/chat-template.js';
import { tokenize } from '../../../apps/simulator/src/engine/vocabulary.js';
import { FLOWS, type Flow } from '../../support/requests.js';
import type { Random } from '../support/random.js';

/** A request of which the right answer is known. */
export interface Question {
  readonly flow: Flow;
  readonly stream: boolean;
  readonly body: Readonly<Record<string, unknown>>;
  /** What the model says, for each choice: a text, or token ids with blanks between them. */
  readonly right: readonly string[];
  readonly finish: 'stop' | 'length';
}

/** What is asked. */
export interface Draft {
  readonly flow: Flow;
  readonly stream: boolean;
  readonly prompt: string;
  readonly maxTokens: number;
  readonly n?: number;
}

let serial = 0;

/** A request of any api, streamed or not, with a prompt that no other has. */
export function anyQuestion(random: Random): Question {
  serial += 1;
  // Of one block up to some, and now and then an answer that ends by itself.
  const end = random.next() < 0.2 ? `<eos:${random.below(12)}>` : '';
  const prompt = `Question ${serial}: ${'why is the sky blue, '.repeat(random.below(12))}say it ${end}`;
  return questionOf({
    ...{ flow: random.pick(FLOWS), stream: random.next() < 0.7, prompt },
    maxTokens: 1 + random.below(30),
  });
}

/** The request of a draft, and what the simulated model answers it. */
export function questionOf({ flow, stream, prompt, maxTokens, n = 1 }: Draft): Question {
  const own = tokenize(prompt);
  const choices = n === 1 ? {} : { n };
  const body = {
    ...flow.body(prompt, own, maxTokens),
    ...(flow.api !== 'generate' && choices),
    ...(stream && { stream }),
  };
  const ids = flow.api === 'chat' ? tokenize(chatPrompt(prompt)) : own;
  const answers = Array.from({ length: n }, (_, choice) => answerTo(ids, { maxTokens, choice }));
  return {
    ...{ flow, stream, body },
    right: answers.map((answer) => (flow.api === 'generate' ? answer.ids.join(' ') : answer.text)),
    finish: answers[0]?.finishReason ?? 'length',
  };
}

const chatPrompt = (prompt: string): string =>
  renderChat([{ role: 'user', content: prompt }], {
    addGenerationPrompt: true,
    continueFinalMessage: false,
    tools: [],
  });
