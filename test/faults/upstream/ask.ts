import { dataOf } from '../../misbehaviour/support/client.js';
import { completion } from '../transport/client.js';

/** What a client got, and when. */
export interface Got {
  readonly status: number;
  /** Of the error that came, if any. */
  readonly code: unknown;
  readonly errors: number;
  readonly isDone: boolean;
  readonly retryAfter: string | null;
  readonly said: string;
  readonly ms: number;
}

interface Answer {
  readonly error?: { readonly code?: unknown };
  readonly choices?: readonly { readonly text?: string }[];
}

/** Asks for a completion, on a connection of its own: what clients keep open is none of the instance's. */
export async function ask(
  url: string,
  prompt: string,
  options: { readonly tokens?: number; readonly stream?: boolean; readonly key?: string } = {},
): Promise<Got> {
  const { tokens = 5, stream = true, key } = options;
  const start = performance.now();
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      connection: 'close',
      ...(key && { authorization: `Bearer ${key}` }),
    },
    body: JSON.stringify(completion(prompt, tokens, stream)),
  });
  const text = await response.text();
  const isStream = String(response.headers.get('content-type')).startsWith('text/event-stream');
  const events = isStream ? dataOf(text) : [text];
  const answers = events.filter((event) => event !== '[DONE]').map((event) => JSON.parse(event) as Answer);
  const errors = answers.flatMap(({ error }) => (error === undefined ? [] : [error]));
  return {
    ...{ status: response.status, code: errors[0]?.code, errors: errors.length },
    isDone: events.at(-1) === '[DONE]',
    retryAfter: response.headers.get('retry-after'),
    said: answers.map(({ choices }) => choices?.[0]?.text ?? '').join(''),
    ms: performance.now() - start,
  };
}
