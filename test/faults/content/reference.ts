import { ask, FLOWS } from '../../support/requests.js';
import type { InstanceProcess } from '../../support/instance-process.js';
import type { Question } from './question.js';

const PROMPTS = [
  'Tell me a story about a fox named Ivy and a silver key.',
  'Once upon a time there was a river and',
  'The sun was warm, the sky was blue, and the owl could not sleep because',
] as const;

const MAX_TOKENS = 16;

/** Questions to the embedded engine, with the answers that one instance gives alone. */
export async function askedOf(alone: InstanceProcess): Promise<readonly Question[]> {
  const questions: Question[] = [];
  for (const prompt of PROMPTS) {
    for (const flow of FLOWS) {
      const body = flow.body(
        prompt,
        [...Buffer.from(prompt)].map((byte) => byte + 3),
        MAX_TOKENS,
      );
      const { said, finishReason } = await ask(alone.url, flow, body);
      const common = { flow, right: [said], finish: finishReason === 'stop' ? ('stop' as const) : ('length' as const) };
      questions.push({ ...common, stream: false, body }, { ...common, stream: true, body: { ...body, stream: true } });
    }
  }
  return questions;
}
