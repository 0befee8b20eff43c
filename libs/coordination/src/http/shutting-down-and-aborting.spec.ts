import { ANONYMOUS, legOf, type ResponsePart } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { EMPTY, NEVER, Subject } from 'rxjs';
import { InferenceAnswer } from './inference-answer.js';
import { run, script } from './story-application.spec-support.js';
import { DONE, event, parsed, post, STORY, STREAM, until } from './story-client.spec-support.js';

describe('shutting down', () => {
  it('refuses new requests with a 503 and a time to come back', async () => {
    const running = await run();
    script.plan = () => EMPTY;
    running.inFlight.refuseNew();
    for (const body of [STORY, STREAM]) {
      const answer = await post(running, body);
      expect(answer.status).toBe(503);
      expect(answer.headers['retry-after']).toBe('1');
      expect(parsed(answer)).toMatchObject({ error: { code: 'shutting_down' } });
    }
    expect(script.ends).toEqual([]);
  });

  it('lets a stream end by itself within the bound', async () => {
    const running = await run();
    const parts = new Subject<ResponsePart>();
    script.plan = () => parts;
    const answer = post(running, STREAM);
    await until(() => parts.observed);
    parts.next(event(1));
    const drained = running.inFlight.drain(30_000);
    parts.next(DONE);
    parts.complete();
    await drained;
    expect((await answer).text).toBe('data: {"n":1}\n\ndata: [DONE]\n\n');
    expect(script.ends).toEqual(['complete']);
  });

  it('ends a stream that takes longer with an error event, and one without a part with a 503', async () => {
    const running = await run();
    const parts = new Subject<ResponsePart>();
    script.plan = () => parts;
    const begun = post(running, STREAM);
    await until(() => parts.observed);
    parts.next(event(1));
    script.plan = () => NEVER;
    const waiting = post(running, STREAM);
    await until(() => running.inFlight.count === 2);
    await running.inFlight.drain(20);
    expect((await begun).text).toMatch(/^data: {"n":1}\n\ndata: {"error":.*"drain_timeout".*}\n\ndata: \[DONE\]\n\n$/);
    expect((await waiting).status).toBe(503);
    expect(script.ends.sort()).toEqual(['drain', 'drain']);
    expect(running.inFlight.count).toBe(0);
    expect(parts.observed).toBe(false);
  });
});

describe('aborting by id', () => {
  const NAMED = { headers: { 'x-request-id': 'client-7' } };
  const ABORTED = /"code":"request_aborted"/;

  it('ends a stream that has begun with an error event, and releases what it held', async () => {
    const running = await run();
    const parts = new Subject<ResponsePart>();
    script.plan = () => parts;
    const answer = post(running, STREAM, NAMED);
    await until(() => parts.observed);
    parts.next(event(1));
    expect(running.inFlight.abort(['chatcmpl-client-7'], ANONYMOUS)).toBe(1);
    expect(parts.observed).toBe(false);
    const [first, error, done] = (await answer).text.split('\n\n');
    expect([first, done]).toEqual(['data: {"n":1}', 'data: [DONE]']);
    expect(error).toMatch(ABORTED);
    expect(script.ends).toEqual(['aborted']);
    expect(running.inFlight.count).toBe(0);
  });

  it.each([
    ['a stream', STREAM],
    ['a JSON answer', STORY],
  ])('answers %s that has not begun with an error', async (_what, body) => {
    const running = await run();
    const parts = new Subject<ResponsePart>();
    script.plan = () => parts;
    const answer = post(running, body, NAMED);
    await until(() => parts.observed);
    expect(running.inFlight.abort(['client-7', 'unknown'], ANONYMOUS)).toBe(1);
    expect((await answer).status).toBe(499);
    expect((await answer).text).toMatch(ABORTED);
    expect(parts.observed).toBe(false);
    expect(script.ends).toEqual(['aborted']);
  });

  it('takes the id that the answer carried, and ends both of two requests of one name, no third', async () => {
    const running = await run();
    const legs: string[] = [];
    script.plan = (request) => {
      legs.push(legOf(request, {}).id);
      return NEVER;
    };
    const calls = ['client-7', 'client-7', 'client-8'].map((id) =>
      post(running, STREAM, { headers: { 'x-request-id': id } }),
    );
    await until(() => running.inFlight.count === 3);
    expect(running.inFlight.abort(['client-7'], ANONYMOUS)).toBe(2);
    expect((await Promise.all(calls.slice(0, 2))).map(({ status }) => status)).toEqual([499, 499]);
    expect(running.inFlight.count).toBe(1);
    expect(
      running.inFlight.abort(
        legs.map((leg) => `generate-tokens-${leg}`),
        ANONYMOUS,
      ),
    ).toBe(1);
    expect((await calls[2])?.status).toBe(499);
  });

  it('reaches a request that no manager took', async () => {
    const running = await run();
    script.handler = (leg) => new InferenceAnswer(NEVER, leg);
    const answer = post(running, STREAM, NAMED);
    await until(() => running.inFlight.count === 1);
    expect(running.inFlight.abort(['client-7'], ANONYMOUS)).toBe(1);
    expect((await answer).status).toBe(499);
  });
});
