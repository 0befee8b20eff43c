import { setTimeout as sleep } from 'node:timers/promises';
import { RawPost } from '../../support/raw-client.js';
import { FLOWS, type Flow } from '../../support/requests.js';
import type { Random } from '../support/random.js';

/** About 40 tokens. */
const promptOf = (serial: number): string => `Visit ${serial} asks for a story of foxes.`;

export const ANSWER_TOKENS = 12;

/** How a client asks. */
export interface Asking {
  readonly flow: Flow;
  readonly stream: boolean;
  readonly maxTokens: number;
  readonly prompt: string;
}

/** A request whose client left. */
export interface Visit extends Asking {
  readonly trace: string;
  /** `Date.now()`. */
  readonly leftAtMs: number;
  /** Events that had come by then. */
  readonly events: number;
  /** Whether the connection was still open, so that there was somebody to leave. */
  readonly hasLeft: boolean;
}

let serial = 0;

/** A request of any api, streamed or not. */
export function anyAsking(random: Random, maxTokens = ANSWER_TOKENS): Asking {
  return { flow: random.pick(FLOWS), stream: random.next() < 0.7, maxTokens, prompt: promptOf((serial += 1)) };
}

/** A trace that no other request has. */
export function freshTrace(random: Random): string {
  const hex = (): string =>
    random
      .below(2 ** 32)
      .toString(16)
      .padStart(8, '0');
  return `${hex()}${hex()}${hex()}${hex()}`;
}

/** Asks, and goes away by RST when `until` says so. */
export async function visit(
  url: string,
  asking: Asking,
  trace: string,
  until: (post: RawPost) => Promise<unknown>,
): Promise<Visit> {
  const { flow, stream, maxTokens, prompt } = asking;
  const body = { ...flow.body(prompt, [...Buffer.from(prompt)], maxTokens), ...(stream && { stream: true }) };
  const post = await RawPost.send(url, flow.path, body, { traceparent: `00-${trace}-00000000000000ab-01` });
  await until(post);
  const hasLeft = !post.socket.destroyed;
  const { events } = post;
  const leftAtMs = Date.now();
  post.leave('RST');
  return { ...asking, trace, leftAtMs, events, hasLeft };
}

/** How long such requests take when nobody leaves, in ms: the slowest of some. */
export async function lifeMs(url: string, askings: readonly Asking[], traces: readonly string[]): Promise<number> {
  const lives = await Promise.all(
    askings.map(async (asking, index) => {
      const start = performance.now();
      await visit(url, asking, traces[index] ?? '', (post) => answered(post));
      return performance.now() - start;
    }),
  );
  return Math.max(...lives);
}

/** Resolves with the last byte of the answer. */
async function answered(post: RawPost): Promise<void> {
  const isComplete = (): boolean =>
    post.received.includes('[DONE]') || /"(choices|meta_info)".*\}\s*$/s.test(bodyOf(post.received));
  while (!isComplete() && !post.socket.destroyed) await sleep(2);
}

const bodyOf = (received: string): string => received.slice(received.indexOf('\r\n\r\n') + 4);

/** Runs `work` `count` times, `width` at once. */
export async function inParallel(count: number, width: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, lane));
}
