import type { ServerResponse } from 'node:http';
import { answerOf, chunkOf, event, sendEvents, type Behaviour } from './hostile-upstream.js';

/** An answer of an engine that a client must never see as it is. */
export interface BadAnswer {
  readonly name: string;
  readonly isStream: boolean;
  readonly behave: Behaviour;
  /** The client's status, of an answer that had not begun; else the code of the error event that ends its stream. */
  readonly told: { readonly status: number } | { readonly code: string };
}

const nested = (levels: number, open = '[', close = ']'): string => open.repeat(levels) + close.repeat(levels);
const json = (response: ServerResponse, text: string): void =>
  void response.writeHead(200, { 'content-type': 'application/json' }).end(text);
const withField = (path: string, field: string): string => `${JSON.stringify(answerOf(path)).slice(0, -1)},${field}}`;
const DONE = 'data: [DONE]\n\n';

const whole = (name: string, text: (path: string) => string, status = 502): BadAnswer => ({
  name,
  isStream: false,
  behave: ({ path }, response) => json(response, text(path)),
  told: { status },
});
const stream = (name: string, events: (path: string) => string[], code = 'bad_upstream_answer'): BadAnswer => ({
  name,
  isStream: true,
  behave: ({ path }, response) => sendEvents(response, [begun(path), ...events(path)]),
  told: { code },
});

/** An event that a client sees: it is behind it that the answer goes wrong. */
function begun(path: string): string {
  const chunk = chunkOf(path) as { choices: Record<string, unknown>[] };
  return event({ ...chunk, choices: chunk.choices.map((choice) => ({ ...choice, finish_reason: null })) });
}

/** Answers that are JSON bombs, or none. */
export function badAnswers(): BadAnswer[] {
  const deepFinish = `{"choices":[{"index":0,"finish_reason":"stop","x":${nested(100_000)}}]}`;
  return [
    whole('200,000 levels', (path) => withField(path, `"x":${nested(200_000)}`)),
    whole('1,000 levels of objects', (path) =>
      withField(path, `"x":${nested(1_000, '{"a":', '}').replace('{"a":}', '{}')}`),
    ),
    whole('three million lists', (path) => withField(path, `"x":[${'[],'.repeat(3_000_000)}[]]`)),
    whole('text', () => 'fox'),
    whole('half of an answer', (path) => withField(path, '"x":1').slice(0, -5)),
    whole('a list', () => '[]'),
    whole('a number', () => '1e999'),
    whole('nothing', () => ''),
    whole('choices that are none', () => '{"choices":{"length":1}}'),
    whole('an error in a deep place', () => `{"error":${nested(200_000)}}`),
    stream('an event of 100,000 levels', () => [`data: ${deepFinish}\n\n`, DONE]),
    stream('an end that is no JSON', () => ['data: {"finish_reason":"stop"\n\n', DONE]),
    stream('an end that is a list', () => ['data: ["finish_reason", "error", {"error":1}]\n\n', DONE]),
    stream('an event of 5 MiB', () => [`data: {"x":"${'a'.repeat(5 * 1024 * 1024)}"}\n\n`, DONE]),
    stream('an event of 5 MiB without an end', () => [`data: {"x":"${'a'.repeat(5 * 1024 * 1024)}`]),
    stream('no end', () => [], 'upstream_truncated'),
    stream('only an end mark', () => [DONE], 'upstream_incomplete'),
  ];
}

/** Answers that are good, but for keys that could reach a prototype: they are taken out, or go on as plain text. */
export function pollutedAnswers(): Pick<BadAnswer, 'name' | 'isStream' | 'behave'>[] {
  const keys = [
    '"__proto__":{"polluted":1}',
    String.raw`"\u005f_proto__":{"polluted":1}`,
    '"constructor":{"prototype":{"polluted":1}}',
    '"usage":{"__proto__":{"polluted":1},"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}',
    '"toString":1,"valueOf":{"a":1},"hasOwnProperty":null',
  ];
  return keys.flatMap((key) => [
    { name: key, isStream: false, behave: ({ path }, response) => json(response, withField(path, key)) },
    {
      name: `${key} in a stream`,
      isStream: true,
      behave: ({ path }, response) =>
        sendEvents(response, [`data: ${JSON.stringify(chunkOf(path)).slice(0, -1)},${key}}\n\n`, DONE]),
    },
  ]);
}
