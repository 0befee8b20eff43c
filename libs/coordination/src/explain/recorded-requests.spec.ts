import { InferenceError, jsonPart, type Caller } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { concat, NEVER, of, throwError } from 'rxjs';
import { InferenceAnswer } from '../http/inference-answer.js';
import { run, script, type Running } from '../http/story-application.spec-support.js';
import { DONE, event, headOf, parsed, post, send, STORY, STREAM, until } from '../http/story-client.spec-support.js';
import type { RequestRecord } from './request-record.js';

const PEER: Caller = { trust: 'peer', label: 'gateway' };
const ID = { 'x-request-id': 'mine' };
const INLINE = { ...ID, 'x-baton-explain': '1' };

async function recordOf(running: Running): Promise<RequestRecord> {
  await until(() => typeof running.records.get('mine')?.endReason === 'string');
  return running.records.get('mine')!;
}

describe('the record of a request', () => {
  it('that a manager runs here', async () => {
    const running = await run();
    script.plan = (request, local) => local(request);
    const { headers } = await post(running, STORY, { headers: ID });
    expect(await recordOf(running)).toMatchObject({
      ...{ id: 'mine', caller: 'anonymous', answeredBy: 'scripted', endReason: 'complete' },
      policyVersion: headers['x-baton-policy-version'],
      managers: [{ manager: 'scripted', verdict: 'took' }],
      plan: { kind: 'whole', site: 'local' },
      legs: [{ role: 'whole', endpoint: 'local', outcome: 'complete', body: { prompt: '[redacted: 1 byte]' } }],
    });
  });

  it('that no manager takes, whose handler streams', async () => {
    const running = await run({ connector: 'embedded', managers: [{ name: 'local', enabled: false }] });
    script.handler = (leg) => new InferenceAnswer(of(event(1), DONE), leg);
    await post(running, STREAM, { headers: ID });
    expect(await recordOf(running)).toMatchObject({
      ...{ answeredBy: 'local', endReason: 'complete', stream: true, plan: { kind: 'whole', site: 'local' } },
      legs: [{ role: 'whole', endpoint: 'local', outcome: 'complete', firstPartMs: expect.any(Number) }],
    });
  });

  it('that no manager takes, whose handler gives an object', async () => {
    const running = await run({ connector: 'embedded', managers: [{ name: 'local', enabled: false }] });
    await post(running, STORY, { headers: ID });
    expect(await recordOf(running)).toMatchObject({ endReason: 'complete', legs: [{ outcome: 'complete' }] });
  });

  it('whose plugin says nothing of how it runs', async () => {
    const running = await run();
    script.plan = () => of(jsonPart({ by: 'plugin' }));
    await post(running, STORY, { headers: ID });
    expect(await recordOf(running)).toMatchObject({ answeredBy: 'scripted', plan: { kind: 'unknown' }, legs: [] });
  });

  it('whose client leaves: the leg is left', async () => {
    const running = await run();
    script.plan = (request, local) => local(request);
    script.handler = (leg) => new InferenceAnswer(concat(of(event(1)), NEVER), leg);
    const call = send(running, STREAM, { headers: ID });
    await headOf(call);
    call.destroy();
    expect(await recordOf(running)).toMatchObject({
      endReason: 'client_gone',
      legs: [{ outcome: 'left', firstPartMs: expect.any(Number), endedMs: expect.any(Number) }],
    });
  });

  it('that fails, without the message of its error', async () => {
    const running = await run();
    const error = new InferenceError('the patient said', { status: 502, code: 'bad_upstream_answer' });
    script.plan = (request, local) => local(request);
    script.handler = (leg) =>
      new InferenceAnswer(
        throwError(() => error),
        leg,
      );
    await post(running, STORY, { headers: ID });
    const record = await recordOf(running);
    expect(record).toMatchObject({
      ...{ endReason: 'upstream_error', legs: [{ outcome: 'failed', reason: '502 bad_upstream_answer' }] },
    });
    expect(JSON.stringify(record)).not.toContain('patient');
  });

  it('that a manager refuses', async () => {
    const running = await run();
    script.plan = () => {
      throw new InferenceError('Not now.', { status: 429, code: 'later' });
    };
    expect((await post(running, STORY, { headers: ID })).status).toBe(429);
    expect(await recordOf(running)).toMatchObject({ answeredBy: null, endReason: 'client_error', legs: [] });
  });
});

describe('x-baton-explain: 1', () => {
  it('of a trusted caller puts the record into an object, into text, and behind a stream', async () => {
    const running = await run({ connector: 'embedded', requestRecords: 0 });
    script.caller = PEER;
    script.plan = (request, local) => local(request);
    script.handler = () => ({ choices: [], big: 2n ** 62n });
    const object = await post(running, STORY, { headers: INLINE });
    expect(object.text).toContain('"big":4611686018427387904');
    expect(parsed(object)).toMatchObject({
      choices: [],
      baton_explain: { id: 'mine', legs: [{ outcome: 'complete' }] },
    });

    script.handler = () => ' {"choices": []}\n';
    expect(parsed(await post(running, STORY, { headers: INLINE }))).toMatchObject({
      ...{ choices: [], baton_explain: { answeredBy: 'scripted' } },
    });
    script.handler = () => '{}';
    expect(parsed(await post(running, STORY, { headers: INLINE }))).toMatchObject({ baton_explain: { id: 'mine' } });
    script.handler = () => 'no JSON {} at all';
    expect((await post(running, STORY, { headers: INLINE })).text).toBe('no JSON {} at all');

    script.handler = (leg) => new InferenceAnswer(of(event(1), DONE), leg);
    const { text } = await post(running, STREAM, { headers: INLINE });
    const [, , last, ...rest] = text.split('\n\n');
    expect(text).toMatch(/^data: \{"n":1\}\n\ndata: \[DONE\]\n\n: baton-explain \{/);
    expect(rest).toEqual(['']);
    const record: unknown = JSON.parse(last!.replace(': baton-explain ', ''));
    expect(record).toMatchObject({ id: 'mine', legs: [{ outcome: 'complete' }] });
    expect(running.records.list()).toEqual([]);
  });

  it('ends a stream that fails after its error event', async () => {
    const running = await run();
    script.caller = PEER;
    script.plan = () =>
      concat(
        of(event(1)),
        throwError(() => new InferenceError('no', { status: 502 })),
      );
    const { text } = await post(running, STREAM, { headers: INLINE });
    expect(text).toMatch(/"error".*\n\n: baton-explain \{[^\n]*\}\n\n$/s);
  });

  it.each(['0', 'true', ''])('means nothing as %p', async (value) => {
    const running = await run();
    script.caller = PEER;
    const headers = { ...ID, 'x-baton-explain': value };
    expect(parsed(await post(running, STORY, { headers }))).not.toHaveProperty('baton_explain');
  });

  it('of anybody else means nothing', async () => {
    const running = await run();
    expect(parsed(await post(running, STORY, { headers: INLINE }))).not.toHaveProperty('baton_explain');
    script.handler = (leg) => new InferenceAnswer(of(event(1), DONE), leg);
    expect((await post(running, STREAM, { headers: INLINE })).text).toBe('data: {"n":1}\n\ndata: [DONE]\n\n');
  });
});

it('nothing is recorded while coordination is off', async () => {
  const running = await run({});
  await post(running, STORY, { headers: ID });
  expect(running.records.list()).toEqual([]);
});
