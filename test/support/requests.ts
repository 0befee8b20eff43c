/** One of the three request protocols, as a client uses it. */
export interface Flow {
  readonly api: 'completions' | 'chat' | 'generate';
  readonly path: string;
  /** A body that asks for `prompt`. */
  body(prompt: string, tokenIds: readonly number[], maxTokens: number): Record<string, unknown>;
  /** What the model said, as text or token ids, from a whole answer's first choice or from a stream's chunks. */
  said(choices: readonly Record<string, unknown>[]): string;
}

type Choice = Record<string, unknown>;
/** The text at `path` in `choice`; empty when there is none. */
const text = (choice: Choice, ...path: string[]): string => {
  const value = path.reduce<unknown>((part, key) => (part as Choice | undefined)?.[key], choice);
  return typeof value === 'string' ? value : '';
};

export const FLOWS: readonly Flow[] = [
  {
    api: 'completions',
    path: '/v1/completions',
    body: (prompt, _ids, max_tokens) => ({ prompt, max_tokens, temperature: 0 }),
    said: (choices) => choices.map((choice) => text(choice, 'text')).join(''),
  },
  {
    api: 'chat',
    path: '/v1/chat/completions',
    body: (prompt, _ids, max_tokens) => ({ messages: [{ role: 'user', content: prompt }], max_tokens, temperature: 0 }),
    said: (choices) =>
      choices.map((choice) => text(choice, 'message', 'content') + text(choice, 'delta', 'content')).join(''),
  },
  {
    api: 'generate',
    path: '/inference/v1/generate',
    body: (_prompt, token_ids, max_tokens) => ({ token_ids, sampling_params: { max_tokens, temperature: 0 } }),
    said: (choices) => choices.flatMap((choice) => (choice['token_ids'] as number[] | undefined) ?? []).join(' '),
  },
];

/** An answer as a client reads it. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly said: string;
  readonly finishReason: unknown;
  readonly usage: unknown;
  /** The JSON events of a stream; one element for an answer that was not streamed. */
  readonly events: readonly Record<string, unknown>[];
  readonly isDone: boolean;
}

/** Sends a request and reads the whole answer. */
export async function ask(
  url: string,
  flow: Flow,
  body: Record<string, unknown>,
  options: { stream?: boolean; headers?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<Answer> {
  const streaming = options.stream === true ? { stream: true, stream_options: { include_usage: true } } : {};
  const response = await fetch(url + flow.path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...options.headers },
    body: JSON.stringify({ ...body, ...streaming }),
    signal: options.signal ?? null,
  });
  const raw = await response.text();
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  const lines = isStream
    ? raw.split('\n\n').flatMap((event) => (event.startsWith('data: ') ? [event.slice(6)] : []))
    : [raw];
  const events = lines.filter((line) => line !== '[DONE]').map((line) => JSON.parse(line) as Record<string, unknown>);
  const choices = events.flatMap((event) => (event['choices'] as Choice[] | undefined) ?? []);
  return {
    status: response.status,
    headers: response.headers,
    said: flow.said(choices),
    finishReason: choices
      .map((choice) => choice['finish_reason'])
      .find((reason) => reason !== undefined && reason !== null),
    usage: events.map((event) => event['usage']).find((usage) => usage !== undefined && usage !== null),
    events,
    isDone: lines.at(-1) === '[DONE]',
  };
}
