import { setTimeout as sleep } from 'node:timers/promises';
import { RawPost } from '../../support/raw-client.js';
import { FLOWS } from '../../support/requests.js';
import { anyQuestion } from '../content/question.js';
import { ask, IS_FINE } from '../content/verdict.js';
import type { Random } from '../support/random.js';

/** What a request of the soak came to. */
export interface Visit {
  readonly outcome: string;
  /** Something that must not be. */
  readonly complaint?: string;
}

type Client = (url: string, random: Random) => Promise<Visit>;

const LONG_ANSWER = 400;
const PATIENCE_MS = 20_000;

/** Asks, and reads to the end. */
export const wellBehaved: Client = async (url, random) => {
  const { verdict, why } = await ask(url, anyQuestion(random));
  return IS_FINE.has(verdict) ? { outcome: verdict } : { outcome: verdict, complaint: `${verdict}: ${why}` };
};

/** As {@link wellBehaved}, of a model that nobody knows the right answer of: it has to be complete. */
export const satisfied: Client = async (url, random) => {
  const { flow, body } = bodyOf(random, 1 + random.below(20));
  const response = await fetch(url + flow.path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (response.status === 503) return { outcome: 'busy' };
  const isComplete = text.includes('"finish_reason":"') && (!('stream' in body) || text.endsWith('data: [DONE]\n\n'));
  return response.status === 200 && isComplete && !text.includes('"error"')
    ? { outcome: 'complete' }
    : { outcome: 'incomplete', complaint: `${response.status}: ${text.slice(-200)}` };
};

const bodyOf = (random: Random, maxTokens: number) => {
  const flow = random.pick(FLOWS);
  const prompt = `Visit ${random.below(2 ** 31)} asks for a story of foxes and of owls.`;
  const body = flow.body(prompt, [...Buffer.from(prompt)], maxTokens);
  return { flow, body: { ...body, ...(random.next() < 0.7 && { stream: true }) } };
};

/** Goes away at any time. */
const leaves: Client = async (url, random) => {
  const { flow, body } = bodyOf(random, 30);
  const post = await RawPost.send(url, flow.path, body);
  await sleep(random.between(0, 150));
  post.leave(random.next() < 0.8 ? 'RST' : 'FIN');
  return { outcome: 'left' };
};

/** Does not read for a while, and then does, or goes away. */
const reads: Client = async (url, random) => {
  const { flow, body } = bodyOf(random, LONG_ANSWER);
  const post = await RawPost.send(url, flow.path, body);
  post.socket.pause();
  await sleep(random.between(200, 1_500));
  if (random.next() < 0.4) {
    post.leave('RST');
    return { outcome: 'stalled and left' };
  }
  post.socket.resume();
  const isOver = (): boolean => post.socket.destroyed || /\[DONE\]|"usage"|"error"/.test(post.received);
  for (const start = performance.now(); !isOver();) {
    if (performance.now() - start > PATIENCE_MS) {
      post.leave('RST');
      return { outcome: 'hung', complaint: `a slow reader got ${post.received.length} bytes and no end` };
    }
    await sleep(20);
  }
  post.leave('FIN');
  return { outcome: 'read slowly' };
};

const BAD_BODIES: readonly string[] = [
  '{"prompt":',
  '[]',
  '{}',
  '{"prompt":"a","max_tokens":-1}',
  '{"prompt":"a","n":100000}',
  `{"prompt":${'['.repeat(200)}${']'.repeat(200)}}`,
  '{"prompt":"a","__proto__":{"x":1}}',
  '{"prompt":"a","stop":[1,2]}',
];

/** Says what nobody understands. */
const babbles: Client = async (url, random) => {
  const response = await fetch(url + random.pick(FLOWS).path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close' },
    body: random.pick(BAD_BODIES),
  });
  await response.text();
  return response.status >= 400 && response.status < 500
    ? { outcome: 'refused' }
    : { outcome: 'not refused', complaint: `a bad body was answered ${response.status}` };
};

/** One that misbehaves in some way. */
export const illBehaved: Client = (url, random) =>
  random.pick([leaves, leaves, leaves, reads, babbles, babbles])(url, random);
