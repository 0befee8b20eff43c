import { inferenceRequest, type InferenceRequest } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { RequestRecords } from './request-records.js';

const PROMPT = 'the patient said that';
const PEER = { trust: 'peer', label: 'gateway' } as const;

function request(id: string, options: Parameters<typeof inferenceRequest>[2] = {}): InferenceRequest {
  return inferenceRequest('completions', { prompt: PROMPT, model: 'm' }, { id, ...options });
}

describe('the ring', () => {
  it('keeps the last ones, the newest first, in pages', () => {
    const records = new RequestRecords({ requestRecords: 3 });
    for (const id of ['a', 'b']) records.begin(request(id), '1.0');
    expect(records.list().map(({ id }) => id)).toEqual(['b', 'a']);
    for (const id of ['c', 'd', 'e']) records.begin(request(id), '1.0');
    expect(records.count).toBe(3);
    expect(records.list().map(({ id }) => id)).toEqual(['e', 'd', 'c']);
    const [first] = records.list({ limit: 1 });
    expect(first?.id).toBe('e');
    expect(records.list({ limit: 1, before: first!.key }).map(({ id }) => id)).toEqual(['d']);
    expect(records.list({ before: 'forgotten' })).toEqual([]);
  });

  it('finds a request by the id of its client, the newest of several, and by its key', () => {
    const records = new RequestRecords({ requestRecords: 3 });
    const [older, newer] = [records.begin(request('same'), '1.0'), records.begin(request('same'), '2.0')];
    expect(records.get('same')?.policyVersion).toBe('2.0');
    expect(records.get(older!.key)?.policyVersion).toBe('1.0');
    expect(records.get(newer!.key)?.policyVersion).toBe('2.0');
    expect(records.get('other')).toBeUndefined();
  });

  it('keeps nothing when it has no room, but for who asks for it inline', () => {
    const records = new RequestRecords({ requestRecords: 0 });
    const clientHeaders = { 'x-baton-explain': '1' };
    expect(records.begin(request('a'), '1.0')).toBeUndefined();
    expect(records.begin(request('a', { clientHeaders }), '1.0')).toBeUndefined();
    expect(records.begin(request('a', { clientHeaders, caller: PEER }), '1.0')?.isInline).toBe(true);
    expect(records.list()).toEqual([]);
  });

  it.each([-1, 1.5, 65_537, NaN])('is refused a size of %p', (requestRecords) => {
    expect(() => new RequestRecords({ requestRecords })).toThrow(/requestRecords/);
  });
});

describe('a record', () => {
  it('shows how the legs went, and nothing of the prompt', () => {
    const records = new RequestRecords({});
    const sent = request('a', { deadlineMs: performance.now() + 10_000 });
    const recording = records.begin(sent, '1.0')!;
    recording.asked('m1', 'condition', 'minPromptTokens does not hold');
    recording.asked('m2', 'took');
    recording.answeredBy('m2');
    recording.considered('prefill', [{ name: 'p:1', excluded: 'breaker_open' }, { name: 'p:2' }]);
    const leg = { ...sent, deadlineMs: performance.now() + 8_000 };
    const prefill = recording.as('prefill').leg({ id: 'leg-1', endpoint: 'p:2', request: leg });
    prefill.firstPart();
    prefill.ended('complete');
    const decode = recording.as('decode').leg({ id: 'leg-2', endpoint: 'd:1', request: leg });
    decode.ended('left');
    decode.ended('failed', 'said too late');
    recording.left('decode_sent');
    recording.settled('freed', 12.5);
    recording.over('client_gone');
    recording.over('complete');
    const record = records.get('a')!;
    expect(record).toMatchObject({
      ...{ id: 'a', api: 'completions', model: 'm', caller: 'anonymous', answeredBy: 'm2', policyVersion: '1.0' },
      managers: [
        { manager: 'm1', verdict: 'condition', detail: 'minPromptTokens does not hold' },
        { manager: 'm2', verdict: 'took' },
      ],
      considered: [{ leg: 'prefill', endpoints: [{ name: 'p:1', excluded: 'breaker_open' }, { name: 'p:2' }] }],
      legs: [
        {
          id: 'leg-1',
          role: 'prefill',
          endpoint: 'p:2',
          outcome: 'complete',
          body: { prompt: '[redacted: 21 bytes]' },
        },
        { id: 'leg-2', role: 'decode', endpoint: 'd:1', outcome: 'left', firstPartMs: null },
      ],
      ...{ leftDuring: 'decode_sent', endReason: 'client_gone', plan: { kind: 'unknown' } },
      settlements: [{ settlement: 'freed', strandedMs: 13 }],
    });
    expect(record.legs[1]).not.toHaveProperty('reason');
    expect(record.deadline?.totalMs).toBeGreaterThan(9_000);
    expect(record.deadline?.prefillMs).toBeLessThan(8_500);
    expect(JSON.stringify(record)).not.toContain(PROMPT);
  });

  it('is bounded, whatever happens to its request', () => {
    const records = new RequestRecords({});
    const recording = records.begin(request('a', { id: 'x'.repeat(256) }), '1.0')!;
    const body = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`field_${index}`, 'y'.repeat(60)]));
    const endpoints = Array.from({ length: 1_000 }, (_, index) => ({ name: `10.0.0.1:${index}` }));
    for (let index = 0; index < 1_000; index += 1) {
      recording.asked('m', 'declined', 'z'.repeat(10_000));
      recording.considered('prefill', endpoints);
      recording.leg({ id: 'l', endpoint: 'e', request: inferenceRequest('completions', body) }).ended('failed', 'r');
      recording.settled('unknown', 1);
    }
    const record = records.list()[0]!;
    expect(JSON.stringify(record).length).toBeLessThan(96 * 1_024);
    expect(record.omitted).toBeGreaterThan(3_000);
  });

  it('can be written as JSON, with integers beyond 2^53 in its bodies', () => {
    const records = new RequestRecords({});
    const recording = records.begin(request('a'), '1.0')!;
    const leg = inferenceRequest('completions', { bootstrap_room: 2n ** 62n });
    recording.leg({ id: 'l', endpoint: 'e', request: leg });
    expect(JSON.stringify(records.get('a'))).toContain('"4611686018427387904"');
  });
});
