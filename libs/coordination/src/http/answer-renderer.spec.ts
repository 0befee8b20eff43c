import {
  ANONYMOUS,
  bytesPart,
  InferenceError,
  invalidRequest,
  jsonPart,
  sseEvent,
  type InferenceRequest,
  type ResponsePart,
} from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { ForbiddenException } from '@nestjs/common';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { concat, delay, mergeMap, of, Subject, throwError } from 'rxjs';
import { InferenceAnswer } from './inference-answer.js';
import { run, script } from './story-application.spec-support.js';
import { DONE, event, headOf, parsed, post, send, STORY, STREAM, until } from './story-client.spec-support.js';

describe('an answer', () => {
  it.each([
    ['a stream', STREAM],
    ['a JSON answer', STORY],
  ])('keeps the digits of large integers in %s', async (_what, body) => {
    const running = await run();
    script.plan = () => of(jsonPart({ ids: [{ room: 9_007_199_254_740_993n }, 7], text: '9007199254740993' }));
    const answer = await post(running, body);
    expect(answer.status).toBe(200);
    expect(answer.text).toBe('{"ids":[{"room":9007199254740993},7],"text":"9007199254740993"}');
  });

  it('that cannot be written is an error of the server, and ends', async () => {
    const running = await run();
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    script.plan = () => of(jsonPart(circle));
    for (const body of [STORY, STREAM]) expect((await post(running, body)).status).toBe(500);
    await until(() => running.inFlight.count === 0);
  });
});

describe('an error', () => {
  it.each([
    ['a stream', STREAM],
    ['a JSON answer', STORY],
  ])('before the first part of %s is a true HTTP error in the OpenAI shape', async (_what, body) => {
    const running = await run();
    script.plan = () =>
      throwError(() => new InferenceError('Try later.', { status: 503, code: 'busy', retryAfterSeconds: 7 })).pipe();
    const answer = await post(running, body);
    expect(answer.status).toBe(503);
    expect(answer.headers['retry-after']).toBe('7');
    expect(answer.headers['content-type']).toMatch('application/json');
    expect(answer.headers['x-baton-manager']).toBe('scripted');
    expect(parsed(answer)).toEqual({
      error: { message: 'Try later.', type: 'service_unavailable_error', param: null, code: 'busy' },
    });
    expect(running.inFlight.count).toBe(0);
    expect(script.ends).toEqual(['server_error']);
  });

  it('that comes later, still before the first part, is one too', async () => {
    const running = await run();
    script.plan = () =>
      of(0).pipe(
        delay(5),
        mergeMap(() => throwError(() => invalidRequest('No.', 'prompt'))),
      );
    const answer = await post(running, STREAM);
    expect(answer.status).toBe(400);
    expect(script.ends).toEqual(['client_error']);
  });

  it('of a kind that nobody knows says nothing of itself', async () => {
    const running = await run();
    script.plan = () => throwError(() => new Error('secret'));
    const answer = await post(running, STREAM);
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain('secret');
  });

  it('that a manager throws is told to the operator, not to the client, whose request runs here', async () => {
    const running = await run();
    script.plan = () => {
      throw new Error('secret');
    };
    const answer = await post(running, STREAM);
    expect(answer.status).toBe(200);
    expect(answer.headers['x-baton-manager']).toBe('local');
    expect(answer.text).not.toContain('secret');
    expect(script.failures.map(({ error }) => error.code)).toEqual(['internal_error']);
  });

  it('after the first part is an error event, then the end mark', async () => {
    const running = await run();
    script.plan = () =>
      concat(
        of(event(1)),
        throwError(() => new InferenceError('Lost.', { status: 502, code: 'remote_reset' })),
      );
    const answer = await post(running, STREAM);
    expect(answer.status).toBe(200);
    expect(answer.text.split('\n\n')).toEqual([
      'data: {"n":1}',
      'data: {"error":{"message":"Lost.","type":"server_error","param":null,"code":"remote_reset"}}',
      'data: [DONE]',
      '',
    ]);
    expect(script.ends).toEqual(['upstream_error']);
    expect(running.inFlight.count).toBe(0);
  });

  it('that the handler throws in a local leg reaches the client as its own', async () => {
    const running = await run();
    script.handler = () => {
      throw new ForbiddenException('Not this one.');
    };
    script.plan = (request, local) => local(request);
    const answer = await post(running, STORY);
    expect(answer.status).toBe(403);
    expect(parsed(answer)).toMatchObject({ message: 'Not this one.' });
  });
});

describe('a failure that an operator is told of', () => {
  const failed = (status: number, code: string) => throwError(() => new InferenceError('Said.', { status, code }));

  it.each([
    ['before the first part', STREAM, failed(502, 'remote_reset'), ['remote_reset']],
    ['of a JSON answer', STORY, failed(503, 'busy'), ['busy']],
    ['in mid-stream', STREAM, concat(of(event(1)), failed(503, 'busy')), ['busy']],
    ['in mid-stream, whatever its status', STREAM, concat(of(event(1)), failed(400, 'told')), ['told']],
    [
      'in mid-stream, of a kind that nobody knows',
      STREAM,
      concat(
        of(event(1)),
        throwError(() => new Error('secret')),
      ),
      ['internal_error'],
    ],
    ['is none of the client’s own', STREAM, failed(400, 'bad'), []],
    ['is none that the application handles', STORY, throwError(() => new Error('secret')), []],
    ['is no abort', STREAM, concat(of(event(1)), failed(499, 'request_aborted')), []],
    ['is no drain', STREAM, concat(of(event(1)), failed(503, 'shutting_down')), []],
    ['is no answer that came', STREAM, of(event(1)), []],
  ])('%s', async (_what, body, parts, codes) => {
    const running = await run();
    script.plan = () => parts;
    await post(running, body, { headers: { 'x-request-id': 'mine' } });
    expect(script.failures.map(({ error }) => error.code)).toEqual(codes);
    expect(script.failures.every(({ request }) => request.id === 'mine')).toBe(true);
  });
});

it('an answer can be aborted by the id that it gave itself in its first part, and by no later one', async () => {
  const running = await run();
  const parts = new Subject<ResponsePart>();
  script.plan = () => parts;
  const call = send(running, STREAM);
  const response = headOf(call);
  await until(() => parts.observed);
  parts.next(bytesPart(sseEvent({ id: 'made-by-the-server', choices: [] })));
  parts.next(bytesPart(sseEvent({ id: 'later', choices: [] })));
  const chunks: Buffer[] = [];
  (await response).on('data', (chunk: Buffer) => chunks.push(chunk));
  expect(running.inFlight.abort(['later'], ANONYMOUS)).toBe(0);
  expect(running.inFlight.abort(['made-by-the-server'], ANONYMOUS)).toBe(1);
  await once(await response, 'end');
  expect(Buffer.concat(chunks).toString()).toContain('request_aborted');
  await until(() => script.ends.length === 1);
  expect(script.ends).toEqual(['aborted']);
  expect(running.inFlight.abort(['made-by-the-server'], ANONYMOUS)).toBe(0);
});

describe('a stream', () => {
  it('has the headers of one, and its first byte is out before the second event is made', async () => {
    const running = await run();
    const parts = new Subject<ResponsePart>();
    script.plan = () => parts;
    const call = send(running, STREAM);
    const response = headOf(call);
    await until(() => parts.observed);
    parts.next(event(1));
    const { headers, statusCode } = await response;
    expect(statusCode).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'x-baton-manager': 'scripted',
    });
    const received: string[] = [];
    (await response).on('data', (chunk: Buffer) => received.push(chunk.toString()));
    await until(() => received.length === 1);
    expect(received).toEqual(['data: {"n":1}\n\n']);
    parts.next(event(2));
    await until(() => received.length === 2);
    parts.complete();
    await once(await response, 'end');
    expect(running.inFlight.count).toBe(0);
  });

  it('comes out of an async generator, a stream or an answer of the handler as well', async () => {
    const running = await run();
    const whole = 'data: {"n":1}\n\ndata: [DONE]\n\n';
    const events = ['data: {"n":1}\n\n', 'data: [DONE]\n\n'];
    const results: ((leg: InferenceRequest) => unknown)[] = [
      async function* () {
        yield* events;
      },
      () => Readable.from(events),
      (leg) => new InferenceAnswer(of(event(1), DONE), leg),
    ];
    script.plan = (request, local) => local(request);
    for (const result of results) {
      script.handler = result;
      const answer = await post(running, STREAM);
      expect(answer.headers['content-type']).toMatch('text/event-stream');
      expect(answer.text).toBe(whole);
    }
    expect(script.ends).toEqual(['complete', 'complete', 'complete']);
  });
});
