import { bytesPart, jsonPart, sseEvent } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { answerId } from './answer-id.js';

const ofText = (text: string): string | undefined => answerId(bytesPart(Buffer.from(text)));

describe('answerId', () => {
  it.each([
    ['the first event', sseEvent({ id: 'chatcmpl-17', choices: [] }), 'chatcmpl-17'],
    ['the token endpoint', sseEvent({ request_id: 'generate-tokens-17', choices: [] }), 'generate-tokens-17'],
    ['the first of several', sseEvent({ id: 'a', choices: [{ delta: { tool_calls: [{ id: 'b' }] } }] }), 'a'],
    ['JSON text with spaces', Buffer.from('{ "id" : "cmpl-1" }'), 'cmpl-1'],
    ['an answer that speaks of ids', sseEvent({ choices: [{ text: '{"id":"x"}' }], id: 'y' }), 'y'],
    ['an id that is a number before one that is text', sseEvent({ id: 5, request_id: 'r' }), 'r'],
  ])('is read from %s', (_what, bytes, id) => {
    expect(answerId(bytesPart(bytes))).toBe(id);
  });

  it('is read from the fields of a JSON part', () => {
    expect(answerId(jsonPart({ id: 'a', request_id: 'b' }))).toBe('a');
    expect(answerId(jsonPart({ id: 5, request_id: 'b' }))).toBe('b');
    expect(answerId(jsonPart({ id: '' }))).toBeUndefined();
    expect(answerId(jsonPart({ id: 'a'.repeat(257) }))).toBeUndefined();
  });

  it('is not there when it is none, too long, or too far away', () => {
    expect(ofText(': hello\n\n')).toBeUndefined();
    expect(ofText('{"id":""}')).toBeUndefined();
    expect(ofText('{"my_id":"a"}')).toBeUndefined();
    expect(ofText('{"id":"a\\u0062"}')).toBeUndefined();
    expect(ofText(`{"id":"${'a'.repeat(256)}"}`)).toBe('a'.repeat(256));
    expect(ofText(`{"id":"${'a'.repeat(257)}"}`)).toBeUndefined();
    expect(ofText(`{"text":"${'a'.repeat(1_000)}","id":"after-the-window"}`)).toBeUndefined();
  });

  it('reads the bytes of the part alone', () => {
    const whole = Buffer.from('{"id":"other"}{"model":"m"}');
    expect(answerId(bytesPart(whole.subarray(14)))).toBeUndefined();
  });
});
