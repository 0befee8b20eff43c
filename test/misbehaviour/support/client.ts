import { FLOWS, type Flow } from '../../support/requests.js';

type Json = Record<string, unknown>;

/** What a client hears of an answer, however it is framed. */
export interface Heard {
  readonly status: number;
  readonly headers: Headers;
  /** As it came. */
  readonly text: string;
  /** The events' data, or the one body of an answer that is not streamed. Those that are no JSON are left out. */
  readonly events: readonly Json[];
  readonly isStream: boolean;
  /** Of a stream: whether the end mark came last. */
  readonly isDone: boolean;
  readonly said: string;
  readonly finish: unknown;
  /** The error object of the last event, or of the body. */
  readonly error: Json | undefined;
}

/** A request as a test sends it. */
export interface Asked {
  readonly flow: Flow;
  readonly stream: boolean;
}

/** Every api, streamed and not. */
export const ALL_ASKED: readonly Asked[] = FLOWS.flatMap((flow) => [false, true].map((stream) => ({ flow, stream })));

export const TOKENS = 5;
export const PROMPT = 'A prompt that is longer than a block of sixteen tokens.';

/** The body of the usual request: {@link PROMPT}, {@link TOKENS} tokens. */
export function bodyOf({ flow, stream }: Asked, prompt = PROMPT, maxTokens = TOKENS): Json {
  return { ...flow.body(prompt, [...Buffer.from(prompt)], maxTokens), ...(stream && { stream: true }) };
}

/** What is said after `tokens` tokens of an answer: words of six characters, or ids. */
export function saidAfter(said: string, flow: Flow, tokens: number): string {
  return flow.api === 'generate' ? said.split(' ').slice(0, tokens).join(' ') : said.slice(0, tokens * 6);
}

/** Sends the usual request, or another body, and hears the answer to its end. */
export async function ask(
  url: string,
  asked: Asked,
  options: { readonly body?: Json; readonly headers?: Record<string, string> } = {},
): Promise<Heard> {
  const { body = bodyOf(asked), headers = {} } = options;
  const response = await fetch(url + asked.flow.path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return heard(asked.flow, response, await response.text());
}

function heard(flow: Flow, { status, headers }: Response, text: string): Heard {
  const isStream = headers.get('content-type')?.startsWith('text/event-stream') === true;
  const data = isStream ? dataOf(text) : [text];
  const events = data.map(parsed).filter((event) => event !== undefined);
  const choices = events.flatMap((event) => (Array.isArray(event['choices']) ? (event['choices'] as Json[]) : []));
  return {
    ...{ status, headers, text, events, isStream },
    isDone: data.at(-1) === '[DONE]',
    said: flow.said(choices),
    finish: choices.map((choice) => choice['finish_reason']).find((reason) => reason !== undefined && reason !== null),
    error: events.at(-1)?.['error'] as Json | undefined,
  };
}

/** The data of a stream's events, as the HTML standard reads them. */
export function dataOf(text: string): string[] {
  const events: string[] = [];
  let lines: string[] = [];
  for (const line of text.split(/\r\n|\r|\n/)) {
    if (line === '') {
      if (lines.length > 0) events.push(lines.join('\n'));
      lines = [];
    } else if (line.startsWith('data:')) lines.push(line.slice('data:'.length).replace(/^ /, ''));
  }
  return events;
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}
