/**
 * What the simulated model answers, as functions alone: a driver that knows the prompt proves an answer's content
 * with them. Token i of an answer is a function of (prompt, i), of (prompt, j, i) for choice j of several.
 */
import { PrefixHash, type Digest } from './prefix-hash.js';
import { detokenize, EOS, isWord } from './vocabulary.js';

/** A whole answer. */
export interface Answer {
  /** With the end token when it has one. */
  readonly ids: readonly number[];
  readonly text: string;
  readonly finishReason: 'stop' | 'length';
}

/** What of a request decides how long its answer is. */
export interface AnswerLimits {
  readonly maxTokens: number;
  readonly choice?: number;
  readonly ignoreEos?: boolean;
  readonly minTokens?: number;
}

/** The answer to a prompt of these ids, without stop strings and stop tokens. */
export function answerTo(promptIds: readonly number[], limits: AnswerLimits): Answer {
  const { maxTokens, choice = 0, ignoreEos = false, minTokens = 0 } = limits;
  const eosAt = ignoreEos ? undefined : eosPosition(promptIds);
  const hash = answerStart(new PrefixHash().pushAll(promptIds).digest, choice);
  const ids: number[] = [];
  while (ids.length < maxTokens) {
    const id = nextToken(hash, ids.length, eosAt, minTokens);
    ids.push(id);
    if (id === EOS) break;
    hash.push(id);
  }
  const finishReason = ids.at(-1) === EOS ? 'stop' : 'length';
  return { ids, text: detokenize(ids, { skipSpecial: true }), finishReason };
}

/** The state from which choice `choice` of an answer goes on. */
export function answerStart(cache: Digest, choice: number): PrefixHash {
  const hash = new PrefixHash(cache);
  return choice === 0 ? hash : hash.push(0x1000_0000 + choice);
}

/** Token `index` of an answer whose beginning `hash` has seen. */
export function nextToken(hash: PrefixHash, index: number, eosAt: number | undefined, minTokens = 0): number {
  return eosAt !== undefined && index >= Math.max(eosAt, minTokens) ? EOS : hash.nextWord();
}

const MARK = [...Buffer.from('<eos:')];
const MARK_END = '>'.charCodeAt(0);

/**
 * How many tokens an answer has before its end token. A prompt asks for it with `<eos:K>`, the last one counts;
 * undefined: the answer goes on until its limit. Words at the very end of the prompt are the beginning of its answer
 * and count, so that "prompt + first token" ends where "prompt" does.
 */
export function eosPosition(promptIds: readonly number[]): number | undefined {
  for (let at = promptIds.length - MARK.length - 2; at >= 0; at--) {
    if (promptIds[at] !== MARK[0] || !MARK.every((byte, index) => promptIds[at + index] === byte)) continue;
    const end = promptIds.indexOf(MARK_END, at);
    const digits = detokenize(promptIds.slice(at + MARK.length, end === -1 ? at + MARK.length : end));
    if (/^\d{1,9}$/.test(digits)) return Math.max(0, Number(digits) - answeredTokens(promptIds));
  }
  return undefined;
}

/** Tokens of the answer that stand in the prompt already. */
function answeredTokens(promptIds: readonly number[]): number {
  let count = 0;
  while (count < promptIds.length && isWord(promptIds[promptIds.length - 1 - count] ?? 0)) count += 1;
  return count;
}
