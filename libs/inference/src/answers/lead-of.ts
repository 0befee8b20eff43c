import type { AnswerLead, PrefillShare } from './prefill-share.js';

/** The lead of an answer, when there is anything in it that D does not say. */
export function leadOf({ lead }: PrefillShare): AnswerLead | undefined {
  const { text = '', tokenIds = [], logprobs } = lead ?? {};
  return text === '' && tokenIds.length === 0 && logprobs === undefined ? undefined : lead;
}
