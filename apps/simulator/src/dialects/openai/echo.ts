import { promptLogprobs } from '../../engine/logprobs.js';
import type { Run } from '../../engine/run.js';
import { detokenize } from '../../engine/vocabulary.js';
import type { InferenceAnswer } from '../../http/answer.js';
import type { Piece } from './openai-choices.js';
import type { OpenAiApi, OpenAiServer } from './openai-server.js';

/** What an answer begins with before its own text. */
export interface Echo {
  readonly text: string;
  readonly logprobs: NonNullable<Piece['logprobs']>;
}

export const NO_ECHO: Echo = { text: '', logprobs: [] };

/** The prompt, for a completion with `echo`; its first token has no logprob. */
export function echoOf(server: OpenAiServer, api: OpenAiApi, { body }: InferenceAnswer, { job }: Run): Echo {
  if (server.echoes === 'never' || api !== 'completions' || body['echo'] !== true) return NO_ECHO;
  const { promptIds, sampling } = job;
  const isTold = server.echoes === 'with logprobs' && sampling.logprobs !== undefined;
  const tokens = isTold ? promptLogprobs(promptIds, sampling.logprobs) : [];
  return {
    text: detokenize(promptIds),
    logprobs: tokens.map((token, index) => token ?? { id: promptIds[index] ?? 0 }),
  };
}
