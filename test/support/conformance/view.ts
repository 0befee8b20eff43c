import { isJson, listAt, objectAt, type Json } from './json.js';

/** What can be compared with vLLM's answers of the token endpoint: all of them, or what every server can tell. */
export function viewOf(dialect: 'vllm' | 'sglang' | 'trtllm'): (answer: Json) => Json {
  return dialect === 'vllm' ? (answer) => answer : tokensOf;
}

/** The tokens, why they end, how likely they were and how they are counted; from a whole answer or a stream. */
function tokensOf(answer: Json): Json {
  const [choice] = listAt(answer, 'choices').filter(isJson);
  const { usage, ends, ids, finishIsLast, usageIsAlone, usageComesLast, hasHandoff, hasError } = answer;
  const content = listAt(objectAt(choice ?? answer, 'logprobs'), 'content').filter(isJson);
  return {
    ...{ usage, ends, ids, finishIsLast, usageIsAlone, usageComesLast, hasHandoff, hasError },
    tokens: choice === undefined ? answer['tokenIds'] : choice['token_ids'],
    finish: choice === undefined ? answer['finish'] : choice['finish_reason'],
    logprobs: content.map(({ token_id, logprob }) => [token_id, logprob]),
  };
}
