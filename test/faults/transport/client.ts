import { Agent, request } from 'undici';
import { dataOf } from '../../misbehaviour/support/client.js';
import type { RequestRecord } from '../../../apps/simulator/src/http/request-record.js';
import type { SimulatorProcess } from '../../support/simulator-process.js';

type Json = Record<string, unknown>;

/** What a client heard. */
export interface Heard {
  readonly status: number;
  readonly said: string;
  /** The data of the events, or the one body of an answer that is not streamed. */
  readonly events: readonly string[];
  /** How often an error object came. */
  readonly errors: number;
  /** Of the error that came, if any. */
  readonly code: unknown;
  readonly isDone: boolean;
}

/** A client with connections of its own, all of which `close` ends. */
export class Client {
  readonly #agent: Agent;

  constructor(
    private readonly url: string,
    options: Agent.Options = {},
  ) {
    this.#agent = new Agent({ headersTimeout: 60_000, bodyTimeout: 60_000, ...options });
  }

  /** Asks for a completion of `prompt`. `padding` spaces stand before the body. */
  async complete(
    prompt: string,
    options: {
      readonly tokens?: number;
      readonly stream?: boolean;
      readonly headers?: Record<string, string>;
      readonly padding?: number;
    } = {},
  ): Promise<Heard> {
    const { tokens = 5, stream = true, headers = {}, padding = 0 } = options;
    return this.post(`${' '.repeat(padding)}${JSON.stringify(completion(prompt, tokens, stream))}`, headers);
  }

  async post(body: string, headers: Record<string, string> = {}, path = '/v1/completions'): Promise<Heard> {
    const response = await request(this.url + path, {
      ...{ method: 'POST', body, dispatcher: this.#agent },
      headers: { 'content-type': 'application/json', ...headers },
    });
    const isStream = String(response.headers['content-type']).startsWith('text/event-stream');
    return heard(response.statusCode, await response.body.text(), isStream);
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

export const completion = (prompt: string, max_tokens: number, stream = true): Json => ({
  ...{ prompt, max_tokens, temperature: 0 },
  ...(stream && { stream: true }),
});

function heard(status: number, text: string, isStream: boolean): Heard {
  const events = isStream ? dataOf(text) : [text];
  const parsed = events.filter((event) => event !== '[DONE]').map(parse);
  const errors = parsed.map((event) => event['error'] as Json | undefined).filter((error) => error !== undefined);
  return {
    ...{ status, events, errors: errors.length, code: errors[0]?.['code'], isDone: events.at(-1) === '[DONE]' },
    said: parsed.map((event) => (event['choices'] as { text?: string }[] | undefined)?.[0]?.text ?? '').join(''),
  };
}

/** What is not read is passed on as it came, so an upstream's broken event is the client's. */
function parse(event: string): Json {
  try {
    return JSON.parse(event) as Json;
  } catch {
    return {};
  }
}

/** What the model says to `prompt`: asked of a simulator, with nothing in between. */
export async function rightAnswer(simulator: SimulatorProcess, prompt: string, tokens = 5): Promise<string> {
  const direct = new Client(simulator.url);
  try {
    return (await direct.complete(prompt, { tokens, stream: false })).said;
  } finally {
    await direct.close();
  }
}

/** The inference requests that a simulator was sent. */
export async function recordsOf(simulator: SimulatorProcess): Promise<readonly RequestRecord[]> {
  return (await simulator.get('requests')) as unknown as readonly RequestRecord[];
}
