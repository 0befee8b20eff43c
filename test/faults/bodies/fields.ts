/** A field of a request, with values of which none may reach an engine. */
export interface FieldCase {
  readonly field: string;
  /** As they are written: `NaN` and numbers beyond 2^53 are none that JavaScript could write. */
  readonly refused: readonly string[];
}

const NO_COUNT = ['-1', '1.5', '"1"', 'NaN', '9007199254740992', '1e400', '[]', '{}', 'true'];
const list = (length: number, item: (index: number) => string): string =>
  `[${Array.from({ length }, (_, index) => item(index)).join()}]`;
const biases = (count: number): string => `{${Array.from({ length: count }, (_, index) => `"${index}":1`).join()}}`;
const text = (length: number): string => `"${'a'.repeat(length)}"`;

/** Of all APIs. */
const SAMPLING: readonly FieldCase[] = [
  { field: 'n', refused: ['0', '129', ...NO_COUNT] },
  { field: 'min_tokens', refused: ['1048577', ...NO_COUNT] },
  { field: 'max_tokens', refused: ['0', '1048577', ...NO_COUNT] },
  { field: 'prompt_logprobs', refused: ['21', '-1', '-2', '0.5', 'NaN', '9007199254740992'] },
  { field: 'temperature', refused: ['-0.1', '"1"', 'NaN', '1e400', 'true'] },
  { field: 'top_p', refused: ['0', '-1', '1.01', 'NaN', '"1"'] },
  { field: 'min_p', refused: ['-0.1', '1.1', 'NaN'] },
  { field: 'top_k', refused: ['-2', '1.5', '9007199254740992', 'NaN'] },
  { field: 'presence_penalty', refused: ['-2.1', '2.1', 'NaN', '"0"'] },
  { field: 'frequency_penalty', refused: ['-2.1', '2.1', 'NaN'] },
  { field: 'repetition_penalty', refused: ['0', '-1', 'NaN'] },
  { field: 'seed', refused: ['1.5', '9223372036854775808', '"1"', 'NaN'] },
  { field: 'stop_token_ids', refused: ['[-1]', '[1.5]', '["a"]', '[9007199254740992]', list(1_025, () => '1')] },
  { field: 'bad_words', refused: [list(1_025, (index) => `"w${index}"`)] },
  { field: 'logit_bias', refused: [biases(1_025), '{"a":1}', '{"1":101}', '{"1":"x"}', '{"1":NaN}', '{"-1":1}', '[]'] },
  { field: 'structured_outputs', refused: [`{"regex":${text(65_537)}}`, `{"grammar":${text(65_537)}}`] },
];

const STOP: FieldCase = {
  field: 'stop',
  refused: [list(17, (index) => `"s${index}"`), '[""]', '""', '[1]', '{}', `[${text(4_097)}]`],
};

const OF_TEXT: readonly FieldCase[] = [
  STOP,
  { field: 'guided_regex', refused: [text(65_537)] },
  { field: 'guided_grammar', refused: [text(65_537)] },
  { field: 'response_format', refused: [`{"type":"json_schema","json_schema":{"schema":${biases(40_000)}}}`] },
];

/** By path. */
export const FIELDS: Readonly<Record<string, readonly FieldCase[]>> = {
  '/v1/completions': [
    ...SAMPLING,
    ...OF_TEXT,
    { field: 'best_of', refused: ['0', '129', ...NO_COUNT] },
    { field: 'logprobs', refused: ['21', '-1', '-2', '0.5', 'NaN', '9007199254740992', 'true'] },
  ],
  '/v1/chat/completions': [
    ...SAMPLING,
    ...OF_TEXT,
    { field: 'max_completion_tokens', refused: ['0', '1048577', ...NO_COUNT] },
    { field: 'top_logprobs', refused: ['21', '-1', '-2', '0.5', 'NaN', '5'] },
    { field: 'chat_template', refused: [text(65_537)] },
    { field: 'chat_template_kwargs', refused: ['{"tokenize":true}', '{"chat_template":"x"}', `{"a":${text(65_537)}}`] },
  ],
  '/inference/v1/generate': [
    ...SAMPLING,
    { field: 'logprobs', refused: ['21', '-1', '-2', '0.5', 'NaN', '9007199254740992'] },
  ],
};

/** A body that asks for nothing but `field` besides what it has to have. */
export function bodyWith(path: string, field: string, written: string, isStream: boolean): string {
  const stream = isStream ? ',"stream":true' : '';
  const given = `${JSON.stringify(field)}:${written}`;
  if (path.includes('chat')) return `{"messages":[{"role":"user","content":"x"}]${stream},${given}}`;
  if (path.includes('generate')) return `{"token_ids":[1]${stream},"sampling_params":{${given}}}`;
  return `{"prompt":"x"${stream},${given}}`;
}
