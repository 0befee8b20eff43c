import { describe, expect, it } from '@jest/globals';
import type { JsonObject } from '../json.js';
import { AnswerTruth } from './answer-truth.js';

const event = (finish_reason: unknown, index = 0): JsonObject => ({ choices: [{ index, text: 'a', finish_reason }] });

function stream(choices: number, events: readonly JsonObject[], isMarked = true): void {
  const truth = new AnswerTruth({ choices });
  for (const each of events) truth.read(each);
  if (isMarked) truth.mark();
  truth.end();
}

function codeOf(action: () => void): unknown {
  try {
    action();
    return 'success';
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}

const NO = { error: { message: 'CUDA out of memory on 10.0.0.7', code: 500 } };

describe('AnswerTruth of a stream', () => {
  it.each<[string, number, JsonObject[], boolean, string]>([
    ['a finish reason and the mark', 1, [event(null), event('stop')], true, 'success'],
    ['one for every choice', 2, [event('stop', 1), event('length', 0)], true, 'success'],
    ['one for a choice without an index', 1, [{ choices: [{ finish_reason: 'stop' }] }], true, 'success'],
    ['a reason in an object', 1, [event({ type: 'stop', matched: 2 })], true, 'success'],
    ['a usage event', 1, [event('stop'), { choices: [], usage: {} }], true, 'success'],
    ['an error that is null', 1, [{ ...event('stop'), error: null }], true, 'success'],
    ['one for one of two choices', 2, [event('stop', 1), event('stop', 1)], true, 'upstream_incomplete'],
    ['the mark alone', 1, [], true, 'upstream_incomplete'],
    ['an empty reason', 1, [event('')], true, 'upstream_incomplete'],
    ['an end of a prefill', 1, [event('not_finished')], true, 'upstream_incomplete'],
    ['another', 1, [event('remote_decode')], true, 'upstream_incomplete'],
    ['a third', 1, [event('cache_threshold')], true, 'upstream_incomplete'],
    ['one that goes on', 1, [event('not_finished'), event('stop')], true, 'success'],
    ['no mark', 1, [event('stop')], false, 'upstream_truncated'],
    ['nothing', 1, [], false, 'upstream_truncated'],
    ['an abort', 1, [event('abort')], true, 'upstream_aborted'],
    ['an error as the reason', 1, [event('error')], true, 'upstream_aborted'],
    ['an abort in an object', 1, [event({ type: 'abort', message: 'x' })], true, 'upstream_aborted'],
    ['an error', 1, [event('stop'), NO], true, 'upstream_error_event'],
    ['a flat error', 1, [{ object: 'error', message: 'x', code: 500 }], true, 'upstream_error_event'],
    ['an error that is a text', 1, [{ error: 'x' }], true, 'upstream_error_event'],
    ['an error without words', 1, [{ error: { room: 9007199254740993n } }], true, 'upstream_error_event'],
  ])('with %s', (_what, choices, events, isMarked, code) => {
    expect(codeOf(() => stream(choices, events, isMarked))).toBe(code);
  });

  it('keeps what the upstream said from the client, and as the cause', () => {
    const truth = new AnswerTruth({ choices: 1 });
    const failure = (): void => truth.read(NO);
    expect(failure).toThrow('The upstream failed while it answered.');
    expect(failure).toThrow(
      expect.objectContaining({ status: 502, cause: expect.objectContaining({ message: NO.error.message }) }),
    );
  });
});

describe('AnswerTruth of a whole answer', () => {
  it.each<[string, number, unknown, string]>([
    ['a finish reason', 1, event('length'), 'success'],
    ['one for every choice', 2, { choices: [...[0, 1].map((index) => ({ index, finish_reason: 'stop' }))] }, 'success'],
    ['a choice too few', 2, event('stop'), 'upstream_incomplete'],
    ['no choices', 1, { choices: [] }, 'upstream_incomplete'],
    ['a choice that goes on', 1, event(null), 'upstream_incomplete'],
    ['an empty reason', 1, event(''), 'upstream_incomplete'],
    ['the end of a prefill', 1, event('not_finished'), 'success'],
    ['an abort', 1, event('abort'), 'upstream_aborted'],
    ['an error', 1, NO, 'upstream_error_event'],
    ['an error beside choices', 1, { ...event('stop'), ...NO }, 'upstream_error_event'],
    ['no list of choices', 1, { choices: {} }, 'bad_upstream_answer'],
    ['nothing', 1, undefined, 'bad_upstream_answer'],
    ['a list', 1, [], 'bad_upstream_answer'],
  ])('with %s', (_what, choices, body, code) => {
    expect(codeOf(() => new AnswerTruth({ choices }).whole(body))).toBe(code);
  });
});
