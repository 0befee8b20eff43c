import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Fault } from '../../apps/simulator/src/faults/fault.js';
import { startCoordinator, type Coordinator } from '../support/coordinator.js';
import { eventually } from '../support/eventually.js';
import { RawPost } from '../support/raw-client.js';
import { FLOWS } from '../support/requests.js';
import { ALL_ASKED, ask, bodyOf, dataOf, PROMPT } from './support/client.js';
import { recordsOf, Scene } from './support/scene.js';

const MANY_TOKENS = 400;
/** What is not streamed is let finish when D has begun. */
const FEW_TOKENS = 20;

const hangs: Readonly<Record<'prefill' | 'token', Fault>> = {
  prefill: { kind: 'hang', at: 'prefill', where: 'prefill' },
  token: { kind: 'hang', at: 'token', afterTokens: 2, where: 'decode' },
};

describe('an abort by id', () => {
  let coordinator: Coordinator;
  let scene: Scene;

  beforeAll(async () => {
    coordinator = await startCoordinator({ flags: { 'decode-us-per-token': 10_000 } });
    scene = new Scene(coordinator);
  });
  afterAll(() => coordinator.stop());

  const abort = async (ids: readonly string[], path = '/inference/v1/abort_requests'): Promise<number> => {
    const response = await fetch(scene.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ request_ids: ids }),
    });
    return response.status;
  };
  const isPrefilling = async (): Promise<boolean> =>
    (await recordsOf(coordinator.prefills[0]!)).some(({ phase }) => phase === 'prefill');
  const hasTwoTokens = async (): Promise<boolean> =>
    (await recordsOf(coordinator.decode)).some(({ tokens }) => tokens === 2);

  it.each(ALL_ASKED)("by the client's id while P computes ($flow.api, streamed: $stream)", async (asked) => {
    const played = await scene.play({ prefill: [hangs.prefill] }, async () => {
      const answer = ask(scene.url, asked, { headers: { 'x-request-id': 'mine-1' } });
      await eventually('P computes', isPrefilling);
      expect(await abort(['mine-1'])).toBe(200);
      return answer;
    });
    expect(played.result).toMatchObject({ status: 499, isStream: false, error: { code: 'request_aborted' } });
    expect(played.moved).toEqual({ 'stream_end aborted': 1 });
    expect([played.prefill.length, played.prefill[0]!.leftIn, played.decode.length]).toEqual([1, 'prefill', 0]);
    console.log(`P computes: all free ${Math.round(played.quietMs)} ms after the answer's end`);
  });

  it.each(FLOWS)("by the client's id in the middle of a stream ($api)", async (flow) => {
    const asked = { flow, stream: true };
    const played = await scene.play({ decode: [hangs.token] }, async () => {
      const options = { headers: { 'x-request-id': 'mine-2' }, body: bodyOf(asked, PROMPT, MANY_TOKENS) };
      const answer = ask(scene.url, asked, options);
      await eventually('D decodes', hasTwoTokens);
      expect(await abort(['mine-2'], '/abort_requests')).toBe(200);
      return answer;
    });
    expect(played.result).toMatchObject({ status: 200, isDone: true, error: { code: 'request_aborted' } });
    expect(played.result.said).not.toBe('');
    expect(played.moved).toEqual({ 'stream_end aborted': 1, 'handoffs_settled taken': 1 });
    expect(played.decode).toMatchObject([{ leftIn: 'decode', tokens: 2 }]);
  });

  it.each(FLOWS)('by the id that the answer carries ($api)', async (flow) => {
    const played = await scene.play({ decode: [hangs.token] }, async () => {
      const post = await RawPost.send(scene.url, flow.path, bodyOf({ flow, stream: true }, PROMPT, MANY_TOKENS));
      await eventually('the client has two tokens', async () => post.events >= 2 && hasTwoTokens());
      const [first = '{}'] = dataOf(post.received);
      const { id, request_id: requestId } = JSON.parse(first) as Record<string, string | undefined>;
      expect(await abort([id ?? requestId!])).toBe(200);
      await eventually('the stream has ended', () => post.received.includes('[DONE]'));
      const events = dataOf(post.received);
      post.leave('FIN');
      return events;
    });
    const [last, mark] = played.result.slice(-2);
    expect([JSON.parse(last!), mark]).toMatchObject([{ error: { code: 'request_aborted' } }, '[DONE]']);
    expect(played.moved).toEqual({ 'stream_end aborted': 1, 'handoffs_settled taken': 1 });
    expect(played.decode).toMatchObject([{ leftIn: 'decode', tokens: 2 }]);
  });

  it('while D makes an answer that is not streamed: the client hears at once, D goes on to the end', async () => {
    const asked = { flow: FLOWS[0]!, stream: false };
    const played = await scene.play({ decode: [hangs.token] }, async () => {
      const options = { headers: { 'x-request-id': 'mine-3' }, body: bodyOf(asked, PROMPT, FEW_TOKENS) };
      const answer = ask(scene.url, asked, options);
      await eventually('D decodes', hasTwoTokens);
      await abort(['mine-3']);
      const heard = await answer;
      await scene.misbehave({});
      return heard;
    });
    expect(played.result).toMatchObject({ status: 499, error: { code: 'request_aborted' } });
    expect(played.moved).toEqual({ 'stream_end aborted': 1, 'handoffs_settled taken': 1 });
    expect(played.decode).toMatchObject([{ outcome: 'complete', tokens: FEW_TOKENS }]);
  });

  it('of an id that nobody knows moves nothing; one of a request ends no other', async () => {
    const asked = { flow: FLOWS[0]!, stream: true };
    const played = await scene.play({}, async () => {
      const body = bodyOf(asked, PROMPT, FEW_TOKENS);
      const answers = ['mine-4', 'mine-5'].map((id) =>
        ask(scene.url, asked, { body, headers: { 'x-request-id': id } }),
      );
      await eventually('D decodes', async () => (await recordsOf(coordinator.decode)).length === 2);
      expect(await abort(['mine', 'mine-44', 'cmpl-mine', 'mine-4'])).toBe(200);
      return Promise.all(answers);
    });
    expect(played.result.map(({ error }) => error?.['code'])).toEqual(['request_aborted', undefined]);
    expect(played.moved).toMatchObject({ 'stream_end aborted': 1, 'stream_end complete': 1 });
  });
});
