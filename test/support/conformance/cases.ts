import { listAt, objectAt, type Json } from './json.js';

export type Api = 'completions' | 'chat' | 'generate';

export const APIS: readonly Api[] = ['completions', 'chat', 'generate'];

export const PATHS: Readonly<Record<Api, string>> = {
  completions: '/v1/completions',
  chat: '/v1/chat/completions',
  generate: '/inference/v1/generate',
};

/** One request of a cell of the matrix. */
export interface Case {
  readonly name: string;
  readonly api: Api;
  readonly stream: boolean;
  /** As the client sends it. */
  readonly body: Json;
  /** The first token is the end, or the client wants no second: some protocols let P's answer be the whole. */
  readonly endsAtFirst: 'stop' | 'length' | undefined;
  /** The tokens that the model reads, when its prompt is one of the client's fields. */
  readonly promptIds: readonly number[] | undefined;
}

/** What an engine server says of texts. */
export interface Tokenizer {
  tokenize(text: string): Promise<readonly number[]>;
}

const PROMPT = 'Once upon a time there was a river and';

/** Fields that Baton knows nothing of, and some that only samplers do. */
const OWN = { vendor_field: { deep: [1, { x: null }] } };
const SAMPLING = { temperature: 0, top_k: 5, seed: 7 };
const TOOL = {
  type: 'function',
  function: { name: 'weather', parameters: { type: 'object', properties: { at: { type: 'string' } } } },
};

/** How a case differs from a plain request, in the fields that completions and chat have in common. */
interface Draft {
  readonly name: string;
  readonly prompt?: string | readonly number[];
  readonly limit?: number | null;
  readonly sampling?: Json;
  readonly top?: Json;
  readonly streamOptions?: Json | null;
  readonly endsAtFirst?: 'stop' | 'length';
}

/** Stands for the fifth token of the plain answer. */
const STOP = Symbol('stop');

const PLAIN: Draft = { name: 'plain' };
const LIMITS: Draft = {
  name: 'limits',
  limit: 9,
  sampling: { min_tokens: 3, n: 1, logprobs: 2, stop: STOP },
  streamOptions: { include_usage: true, continuous_usage_stats: true },
};
const LOGPROBS: Draft = { name: 'logprobs', limit: 4, sampling: { logprobs: 1, min_tokens: 1 } };
const FIRST_ENDS: Draft = { name: 'first token ends', streamOptions: null, endsAtFirst: 'stop' };
const ONE_TOKEN: Draft = { name: 'one token', limit: 1, endsAtFirst: 'length' };
const DEFAULT_LIMIT: Draft = { name: 'default limit', limit: null };

/** What kind of engine answers: what it can be asked differs. */
export type EngineKind = 'vllm' | 'sglang' | 'trtllm' | 'embedded';

type DraftsOf = (api: Api, stream: boolean) => readonly Draft[];

const simulated: DraftsOf = (api) => [
  ...[PLAIN, LIMITS, LOGPROBS, ONE_TOKEN],
  { name: 'token ids', top: { return_token_ids: true } },
  { ...FIRST_ENDS, prompt: 'Say nothing at all. <eos:0>' },
  ...(api === 'chat' ? [{ name: 'tools', top: { tools: [TOOL], tool_choice: 'auto' } }] : []),
  ...(api === 'completions' ? [DEFAULT_LIMIT] : []),
];

const withPromptLogprobs: DraftsOf = (api, stream) => [
  ...simulated(api, stream),
  ...(stream ? [] : [{ name: 'prompt logprobs', sampling: { prompt_logprobs: 1 } }]),
  ...(api === 'completions' && !stream ? ECHOES : []),
];

const DRAFTS: Readonly<Record<EngineKind, DraftsOf>> = {
  vllm: withPromptLogprobs,
  sglang: withPromptLogprobs,
  // It has no log probabilities of prompts, and echoes text alone.
  trtllm: (api, stream) => [
    ...simulated(api, stream),
    ...(api === 'completions' && !stream ? [{ name: 'echo', top: { echo: true } }] : []),
  ],
  embedded: (api) => [
    ...[PLAIN, LIMITS, LOGPROBS, ONE_TOKEN],
    // The end token of the demo model.
    { ...FIRST_ENDS, sampling: { logit_bias: { 2: 100 } } },
    ...(api === 'completions' ? [DEFAULT_LIMIT, { name: 'echo', top: { echo: true } }] : []),
  ],
};

const ECHOES: readonly Draft[] = [
  { name: 'echo', sampling: { logprobs: 1, prompt_logprobs: 1 }, top: { echo: true } },
  { name: 'echo of ids', prompt: [84, 101, 108, 108, 600, 700], top: { echo: true } },
];

/**
 * The requests of one cell.
 *
 * @param stop a text (a token id for the token endpoint) that the plain answer has as its fifth token
 */
export async function casesOf(
  kind: EngineKind,
  { api, stream, stop }: { readonly api: Api; readonly stream: boolean; readonly stop: string | number },
  tokenizer: Tokenizer,
): Promise<readonly Case[]> {
  return Promise.all(
    DRAFTS[kind](api, stream).map(async (draft): Promise<Case> => {
      const prompt = draft.prompt ?? PROMPT;
      const ids = typeof prompt === 'string' ? await tokenizer.tokenize(prompt) : prompt;
      const { streamOptions = { include_usage: true } } = draft;
      const body = BODIES[api](draft, prompt, ids, stop);
      return {
        name: draft.name,
        api,
        stream,
        body: {
          ...(kind !== 'embedded' && { model: 'sim' }),
          ...body,
          ...OWN,
          ...draft.top,
          ...(stream && { stream, ...(streamOptions && { stream_options: streamOptions }) }),
        },
        endsAtFirst: draft.endsAtFirst,
        promptIds: api === 'chat' ? undefined : ids,
      };
    }),
  );
}

type BodyOf = (draft: Draft, prompt: unknown, ids: readonly number[], stop: string | number) => Json;

const BODIES: Readonly<Record<Api, BodyOf>> = {
  completions: ({ limit = 6, sampling = {} }, prompt, _ids, stop) => ({
    ...{ prompt, ...SAMPLING, ...stopping(sampling, { stop: [stop, 'never'] }) },
    ...(limit === null ? {} : { max_tokens: limit }),
  }),
  chat: ({ name, limit = 6, sampling = {} }, prompt, _ids, stop) => {
    const { logprobs: count, ...others } = stopping(sampling, { stop });
    const field = name === 'limits' || name === 'one token' ? 'max_completion_tokens' : 'max_tokens';
    const logprobs = count === undefined ? {} : { logprobs: true, top_logprobs: count };
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: prompt },
    ];
    return { messages, ...SAMPLING, ...others, ...logprobs, [field]: limit };
  },
  generate: ({ limit = 6, sampling = {} }, _prompt, ids, stop) => ({
    token_ids: ids,
    sampling_params: {
      ...SAMPLING,
      ...stopping(sampling, { stop_token_ids: [stop] }),
      max_tokens: limit,
      extra_args: { own: { a: [null] } },
    },
  }),
};

/** `sampling`, with the fields that end the answer where it is to end early. */
function stopping(sampling: Json, fields: Json): Json {
  const { stop, ...others } = sampling;
  return stop === STOP ? { ...others, ...fields } : others;
}

/** What holds the sampling parameters of a body. */
export const samplingOf = (api: Api, body: Json): Json =>
  api === 'generate' ? objectAt(body, 'sampling_params') : body;

/** `body` with its sampling parameters edited. */
export function withSampling(api: Api, body: Json, edit: (sampling: Json) => Json): Json {
  return api === 'generate' ? { ...body, sampling_params: edit(samplingOf(api, body)) } : edit(body);
}

/** The fifth token of a plain answer, in the words in which a request of its api can stop at it. */
export function stopOf(api: Api, answer: Json): string | number {
  const [choice] = listAt(answer, 'choices') as readonly Json[];
  if (choice === undefined) throw new Error(`No answer: ${JSON.stringify(answer)}`);
  if (api === 'generate') return Number(listAt(choice, 'token_ids')[4]);
  const text = String(api === 'chat' ? objectAt(choice, 'message')['content'] : choice['text']);
  return text.trim().split(' ')[4] ?? '';
}
