import { newId } from '@baton/inference';

/** What the token endpoint and `render` put in front of a request's id, and the apis in text put there again. */
const PREFIXES = /^(?:generate-tokens-)?(?:chatcmpl-|cmpl-)?/;

/** The id of an answer in text, without its prefix, from the id of the answer in tokens. */
export function answerId(requestId: string | undefined): string {
  return (requestId ?? '').replace(PREFIXES, '') || newId();
}
