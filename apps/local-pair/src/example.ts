import { API_PATHS, isJsonObject, readErrorBody, type JsonObject } from '@baton/inference';
import { withDeadline } from './deadline.js';
import type { PairAddresses } from './local-pair.js';
import { Metrics } from './metrics.js';
import { sseObjects } from './sse-events.js';

const EXAMPLE_TIMEOUT_MS = 120_000;
const MAX_TOKENS = 160;

export const EXAMPLE_PROMPT = 'Tell me a story about a fox named Ivy.';

/** What one example answer showed. Times in ms, as measured by the instance that did the work. */
export interface ExampleReport {
  /** The manager that dispatched the request, or `local`. */
  readonly manager: string;
  readonly promptTokens: number;
  readonly answerTokens: number;
  /** From sending the request to the first text, as the client saw it. */
  readonly firstTokenMs: number;
  /** From the first text to the last, as the client saw it. */
  readonly restMs: number;
  /** What prefill spent on the prompt; undefined when it does not say. */
  readonly prefillMs: number | undefined;
  /** KV bytes that decode has taken over; 0 when the answer was written without a handoff. */
  readonly handoffBytes: number;
  /** What decode spent on fetching and loading the KV; undefined when it does not say. */
  readonly handoffMs: number | undefined;
}

/** The first model that the instance serves. */
export async function servedModel({ prefillUrl, apiKey }: PairAddresses, signal: AbortSignal): Promise<string> {
  const url = `${prefillUrl}/v1/models`;
  const answer = await fetch(url, { headers: { authorization: `Bearer ${apiKey}` }, signal });
  const body: unknown = await answer.json();
  const data = isJsonObject(body) ? body['data'] : undefined;
  const first: unknown = Array.isArray(data) ? data[0] : undefined;
  if (isJsonObject(first) && typeof first['id'] === 'string') return first['id'];
  throw new Error(`${url} names no model.`);
}

/**
 * Asks the prefill instance for a story and passes its text on as it comes.
 *
 * @param write takes a piece of the answer.
 * @param stop gives up.
 * @throws Error when there is no answer, or it breaks off.
 */
export async function runExample(
  addresses: PairAddresses,
  model: string,
  write: (text: string) => void,
  stop: AbortSignal,
): Promise<ExampleReport> {
  return withDeadline(stop, EXAMPLE_TIMEOUT_MS, async (signal) => {
    const before = await scrape(addresses, signal);
    const answer = await streamAnswer(addresses, model, write, signal);
    const after = await scrape(addresses, signal);
    return { ...answer, ...workBetween(before, after) };
  });
}

interface Scrape {
  readonly prefill: Metrics;
  readonly decode: Metrics;
}

async function scrape({ prefillUrl, decodeUrl, apiKey }: PairAddresses, signal: AbortSignal): Promise<Scrape> {
  const [prefill, decode] = await Promise.all([
    Metrics.of(prefillUrl, apiKey, signal),
    Metrics.of(decodeUrl, apiKey, signal),
  ]);
  return { prefill, decode };
}

function workBetween(before: Scrape, after: Scrape): Pick<ExampleReport, 'prefillMs' | 'handoffBytes' | 'handoffMs'> {
  const received = { direction: 'received' };
  return {
    prefillMs: milliseconds(after.prefill.since(before.prefill, 'baton_engine_prefill_seconds_total')),
    handoffBytes: after.decode.since(before.decode, 'baton_engine_handoff_bytes_total', received) ?? 0,
    handoffMs: milliseconds(after.decode.since(before.decode, 'baton_engine_handoff_seconds_total')),
  };
}

type Answer = Pick<ExampleReport, 'manager' | 'promptTokens' | 'answerTokens' | 'firstTokenMs' | 'restMs'>;

async function streamAnswer(
  { prefillUrl, apiKey }: PairAddresses,
  model: string,
  write: (text: string) => void,
  signal: AbortSignal,
): Promise<Answer> {
  const start = performance.now();
  const response = await fetch(prefillUrl + API_PATHS.chat, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({
      model,
      messages: [{ role: 'user', content: EXAMPLE_PROMPT }],
      max_tokens: MAX_TOKENS,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    }),
    signal,
  });
  if (!response.ok || response.body === null) throw new Error(await failureOf(response));
  let usage: JsonObject = {};
  let first: number | undefined;
  let last = start;
  for await (const event of sseObjects(response.body)) {
    if (isJsonObject(event['usage'])) usage = event['usage'];
    const text = deltaText(event);
    if (text === '') continue;
    last = performance.now();
    first ??= last;
    write(text);
  }
  return {
    manager: response.headers.get('x-baton-manager') ?? 'unknown',
    promptTokens: count(usage['prompt_tokens']),
    answerTokens: count(usage['completion_tokens']),
    firstTokenMs: (first ?? last) - start,
    restMs: last - (first ?? last),
  };
}

function deltaText(event: JsonObject): string {
  const choices = event['choices'];
  const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
  const delta = isJsonObject(choice) ? choice['delta'] : undefined;
  const content = isJsonObject(delta) ? delta['content'] : undefined;
  return typeof content === 'string' ? content : '';
}

async function failureOf(response: Response): Promise<string> {
  const body: unknown = await response.json().catch(() => undefined);
  return `The example was answered with status ${response.status}: ${readErrorBody(body)?.message ?? 'no reason given'}`;
}

function count(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

function milliseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1000;
}
