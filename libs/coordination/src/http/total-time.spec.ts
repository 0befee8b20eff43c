import { type ResponsePart } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { NEVER, Subject } from 'rxjs';
import { run, script } from './story-application.spec-support.js';
import { event, parsed, post, STORY, STREAM, until } from './story-client.spec-support.js';

const IN_20_MS = { headers: { 'x-request-timeout-ms': '20' } };

describe('the time for the whole answer', () => {
  it.each([STORY, STREAM])('is over before the head: a 504 (%j)', async (body) => {
    const running = await run();
    script.plan = () => NEVER;
    const answer = await post(running, body, IN_20_MS);
    expect([answer.status, parsed(answer)]).toMatchObject([504, { error: { code: 'deadline_exceeded' } }]);
    expect(script.ends).toEqual(['deadline']);
  });

  it('is over within a stream: an error event, and everything is unsubscribed', async () => {
    const running = await run();
    const parts = new Subject<ResponsePart>();
    script.plan = () => parts;
    const answer = post(running, STREAM, { headers: { 'x-request-timeout-ms': '200' } });
    await until(() => parts.observed);
    parts.next(event(1));
    expect((await answer).text).toMatch(
      /^data: {"n":1}\n\ndata: {"error":.*"deadline_exceeded".*}\n\ndata: \[DONE\]\n\n$/,
    );
    expect(parts.observed).toBe(false);
    await until(() => running.inFlight.count === 0);
    expect(script.ends).toEqual(['deadline']);
  });

  it('counts the wait to be admitted', async () => {
    const running = await run({ connector: 'embedded', admission: { maxInFlight: 1 } });
    const parts = new Subject<ResponsePart>();
    script.plan = () => parts;
    const first = post(running, STREAM, { headers: { 'x-request-timeout-ms': '300' } });
    await until(() => parts.observed);
    expect((await post(running, STORY, IN_20_MS)).status).toBe(504);
    expect((await first).status).toBe(504);
  });

  it('is what the configuration says when the client says nothing, and refused when it is no time', async () => {
    const running = await run({ connector: 'embedded', totalTimeoutMs: 20 });
    script.plan = () => NEVER;
    expect((await post(running, STORY)).status).toBe(504);
    const refused = await post(running, STORY, { headers: { 'x-request-timeout-ms': 'soon' } });
    expect([refused.status, parsed(refused)]).toMatchObject([
      400,
      { error: { param: 'x-request-timeout-ms', code: 'invalid_request' } },
    ]);
  });
});
