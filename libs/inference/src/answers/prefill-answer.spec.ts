import { describe, expect, it } from '@jest/globals';
import { inferenceRequest, type InferenceApi } from '../inference-request.js';
import type { JsonObject } from '../json.js';
import { jsonPart, type ResponsePart } from '../response-part.js';
import { asBuffer, eventData, eventsIn, parseData } from './events.js';
import { answerFromPrefill, endsWithPrefill } from './prefill-answer.js';

const USAGE = { prompt_tokens: 8, completion_tokens: 1, total_tokens: 9 };
const ofP = (finish_reason: unknown, usage: JsonObject | null = USAGE): JsonObject => ({
  choices: [{ index: 0, text: 'a', finish_reason }],
  usage,
});

describe('endsWithPrefill', () => {
  it.each<[InferenceApi, JsonObject, JsonObject, boolean]>([
    ['completions', { max_tokens: 9 }, ofP('stop'), true],
    ['completions', {}, ofP('content_filter'), true],
    ['completions', { max_tokens: 9 }, ofP('length'), false],
    ['completions', {}, ofP('length'), false],
    ['completions', { max_tokens: 1 }, ofP('length'), true],
    ['completions', { max_tokens: 1 }, ofP('length', { ...USAGE, completion_tokens: 0 }), false],
    ['completions', { max_tokens: 1 }, ofP('length', null), true],
    ['completions', { max_tokens: 1 }, ofP(null), false],
    ['completions', { max_tokens: 1 }, ofP('not_finished'), false],
    ['completions', { max_tokens: 1 }, ofP('remote_decode'), false],
    ['completions', { max_tokens: 1 }, ofP('abort'), false],
    ['completions', {}, { choices: [] }, false],
    ['completions', {}, { choices: [...[0, 1].map((index) => ({ index, finish_reason: 'stop' }))] }, false],
    ['completions', {}, {}, false],
    ['chat', { max_completion_tokens: 1, max_tokens: 9 }, ofP('length'), true],
    ['chat', { max_completion_tokens: 9, max_tokens: 1 }, ofP('length'), false],
    ['chat', { max_completion_tokens: null, max_tokens: 1 }, ofP('length'), true],
    ['generate', { sampling_params: { max_tokens: 1 } }, ofP('length'), true],
    ['generate', { sampling_params: { max_tokens: 2 }, max_tokens: 1 }, ofP('length'), false],
    ['generate', { max_tokens: 1 }, ofP('length'), false],
  ])('of %s %j, when P answered %j, is %s', (api, body, answer, is) => {
    expect(endsWithPrefill(inferenceRequest(api, body), answer)).toBe(is);
  });
});

function events(part: ResponsePart): unknown[] {
  if (part.kind === 'json') throw new Error('not a stream');
  return eventsIn(asBuffer(part.bytes)).map((event) => parseData(eventData(event)!) ?? eventData(event));
}

const stream = (api: InferenceApi, answer: JsonObject, body: JsonObject = {}): unknown[] =>
  events(answerFromPrefill(inferenceRequest(api, { ...body, stream: true }), answer));

describe('answerFromPrefill', () => {
  const HANDOFF = { kv_transfer_params: { remote_host: '10.0.0.7' } };
  const HEAD = { id: 'a', created: 7, model: 'm' };
  const include = { stream_options: { include_usage: true } };

  it('is P’s answer without the handoff', () => {
    const request = inferenceRequest('completions', {});
    const answer = { ...HEAD, choices: [{ index: 0, text: 'a', disaggregated_params: {} }], usage: USAGE, ...HANDOFF };
    expect(answerFromPrefill(request, answer)).toEqual(
      jsonPart({ ...HEAD, choices: [{ index: 0, text: 'a' }], usage: USAGE }),
    );
  });

  it('has the ids of the prompt for those who ask', () => {
    const answer = { ...HEAD, choices: [{ index: 0, text: 'a' }], prompt_token_ids: [1, 2], usage: USAGE };
    const { prompt_token_ids: _, ...others } = answer;
    expect(answerFromPrefill(inferenceRequest('completions', {}), answer)).toEqual(jsonPart(others));
    const asking = inferenceRequest('completions', { return_token_ids: true });
    expect(answerFromPrefill(asking, answer)).toEqual(jsonPart(answer));
  });

  it('streams completions', () => {
    const choice = { index: 0, text: 'a', logprobs: { tokens: ['a'] }, finish_reason: 'stop', stop_reason: 2 };
    const answer = { ...HEAD, object: 'text_completion', choices: [choice], usage: USAGE, ...HANDOFF };
    const event = { ...HEAD, object: 'text_completion', choices: [choice] };
    expect(stream('completions', answer)).toEqual([event, '[DONE]']);
    expect(stream('completions', answer, include)).toEqual([event, { ...event, choices: [], usage: USAGE }, '[DONE]']);
  });

  it('streams chat: the role, the content, the end', () => {
    const logprobs = { content: [{ token: 'Hi', logprob: -1 }] };
    const message = { role: 'assistant', content: 'Hi', refusal: null, tool_calls: [], reasoning: 'so' };
    const choice = { index: 0, message, logprobs, finish_reason: 'stop', stop_reason: null };
    const head = { ...HEAD, object: 'chat.completion.chunk' };
    const answer = { ...HEAD, object: 'chat.completion', choices: [choice], usage: USAGE, prompt_logprobs: null };
    expect(stream('chat', answer, include)).toEqual([
      {
        ...head,
        choices: [{ index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }],
      },
      { ...head, choices: [{ index: 0, delta: { content: 'Hi', reasoning: 'so' }, logprobs, finish_reason: null }] },
      { ...head, choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: 'stop', stop_reason: null }] },
      { ...head, choices: [], usage: USAGE },
      '[DONE]',
    ]);
  });

  it('streams tool calls with their numbers, and a message without content as its role and its end', () => {
    const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '' } };
    const deltas = (message: JsonObject): unknown[] =>
      stream('chat', { choices: [{ index: 0, message, finish_reason: 'stop' }] })
        .filter((event) => event !== '[DONE]')
        .map((event) => (event as { choices: { delta: unknown }[] }).choices[0]?.delta);
    const role = { role: 'assistant', content: '' };
    expect(deltas({ role: 'assistant', content: null, tool_calls: [call] })).toEqual([
      role,
      { tool_calls: [{ index: 0, ...call }] },
      {},
    ]);
    expect(deltas({ role: 'assistant', content: '' })).toEqual([role, {}]);
  });

  it('streams tokens, with what a stream says once in the first event', () => {
    const choice = { index: 0, token_ids: [2], logprobs: null, finish_reason: 'stop' };
    const answer = {
      request_id: 'r',
      model: 'm',
      created: 7,
      choices: [choice],
      usage: USAGE,
      prompt_logprobs: [null],
      ...HANDOFF,
    };
    expect(stream('generate', answer, include)).toEqual([
      { request_id: 'r', choices: [choice], prompt_logprobs: [null] },
      { request_id: 'r', choices: [], usage: USAGE },
      '[DONE]',
    ]);
  });
});
