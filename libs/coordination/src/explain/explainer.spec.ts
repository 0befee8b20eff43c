import { jsonPart, type Caller } from '@baton/inference';
import { describe, expect, it, jest } from '@jest/globals';
import { of } from 'rxjs';
import type { CoordinationOptions } from '../coordination.options.js';
import { run, script, type Running } from '../http/story-application.spec-support.js';

const PEER: Caller = { trust: 'peer', label: 'gateway' };
const PROMPT = 'the patient said that';
const BODY = { prompt: PROMPT, model: 'm', max_tokens: 7, stream: true, n: 1 };
const P = 'http://127.0.0.1:1';
const D = 'http://127.0.0.1:2';
/** Both legs elsewhere: nobody listens there, so whatever is sent shows as a failure. */
const COORDINATOR: CoordinationOptions = {
  connector: 'nixl',
  prefill: { endpoints: [P], dialect: 'vllm' },
  decode: { endpoints: [D, 'http://127.0.0.1:3'], dialect: 'vllm' },
  local: { isAvailable: false },
};
const SPLIT = 'prefill-remote-decode-remote';

const explain = ({ explainer }: Running, more: Partial<Parameters<Running['explainer']['explain']>[0]> = {}) =>
  explainer.explain({ api: 'completions', body: BODY, ...more });

describe('an explanation of a request that is split', () => {
  it('has managers, plan, legs, endpoints, times and what is done when the client leaves', async () => {
    const running = await run(COORDINATOR);
    const explanation = explain(running, { headers: { 'X-Request-ID': 'mine', 'X-Request-Timeout-Ms': '10000' } });
    expect(explanation).toMatchObject({
      ...{ id: 'mine', api: 'completions', model: 'm', stream: true, isLeg: false, refusal: null, answeredBy: SPLIT },
      policyVersion: running.managers.table.version,
      managers: [
        { manager: 'scripted', verdict: 'declined' },
        { manager: 'prefill-local-decode-remote', verdict: 'declined' },
        { manager: 'decode-local-prefill-remote', verdict: 'declined' },
        { manager: SPLIT, verdict: 'took' },
      ],
      plan: { kind: 'split', connector: 'nixl', order: 'serial', prefill: 'prefill', decode: 'decode' },
      considered: [
        { leg: 'prefill', endpoints: [{ name: '127.0.0.1:1' }] },
        { leg: 'decode', endpoints: [{ name: '127.0.0.1:2' }, { name: '127.0.0.1:3' }] },
      ],
    });
    const { totalMs, prefillMs } = explanation.deadline!;
    expect(Math.abs(totalMs - 10_000)).toBeLessThan(500);
    expect(prefillMs! / totalMs).toBeCloseTo(0.8, 2);
    const [prefill, decode] = explanation.legs;
    expect(prefill).toMatchObject({
      ...{ role: 'prefill', site: 'prefill', stream: false },
      body: {
        ...{ prompt: '[redacted: 21 bytes]', model: 'm', max_tokens: 1, stream: false },
        kv_transfer_params: { do_remote_decode: true, do_remote_prefill: false, remote_host: null },
      },
    });
    expect(decode).toMatchObject({
      ...{ role: 'decode', site: 'decode', stream: true, note: 'Its handoff is what the prefill will answer.' },
      body: { max_tokens: 7, stream: true, kv_transfer_params: { placeholder: '[from-the-prefill]' } },
    });
    expect(explanation.cancellation).toContainEqual({
      ...{ phase: 'gap', owner: 'prefill', action: 'decode_and_cancel', boundMs: 5_000 },
    });
    expect(explanation.cancellation).toContainEqual({
      ...{ phase: 'decode_sent', owner: 'prefill', action: 'finish', boundMs: 30_000 },
    });
    expect(JSON.stringify(explanation)).not.toContain(PROMPT);
  });

  it('runs nothing and changes nothing', async () => {
    const running = await run(COORDINATOR);
    const handler = jest.fn();
    script.handler = handler;
    const { counters, pickers, pools, client } = running.probes;
    const picks = jest.spyOn(pickers.active, 'pick');
    const calls = [jest.spyOn(client, 'run'), jest.spyOn(client, 'call')];
    const books = (): unknown => [counters.of(SPLIT), counters.of('scripted'), pools.map((pool) => pool.states())];
    const before = books();
    for (let times = 0; times < 3; times += 1) expect(explain(running).legs).toHaveLength(2);
    expect(books()).toEqual(before);
    for (const spy of [handler, picks, ...calls]) expect(spy).not.toHaveBeenCalled();
    expect([running.records.list(), running.inFlight.count, script.ends]).toEqual([[], 0, []]);
  });

  it.each([
    ['sglang', { bootstrap_host: '127.0.0.1', bootstrap_port: 8998, bootstrap_room: '[new]' }],
    ['mooncake', { kv_transfer_params: { remote_engine_id: '[asked-of-prefill]', transfer_id: '[new]' } }],
    ['shared-storage', {}],
    ['trtllm', { disaggregated_params: { placeholder: '[from-the-prefill]' } }],
    ['offloading-p2p', { kv_transfer_params: { remote_prefiller: { kv_request_id: '[new]' } } }],
    ['lmcache', {}],
  ])('of %s shows what must be asked for as a placeholder, and asks nobody', async (connector, decodeBody) => {
    const running = await run({ ...COORDINATOR, connector });
    const call = jest.spyOn(running.probes.client, 'call');
    const { legs, considered } = explain(running);
    expect(legs.map(({ role }) => role)).toEqual(['prefill', 'decode']);
    expect(legs[1]?.body).toMatchObject(decodeBody);
    const isDecodeFirst = ['sglang', 'mooncake', 'lmcache', 'offloading-p2p'].includes(connector);
    expect(considered.map(({ leg }) => leg)).toEqual(isDecodeFirst ? ['decode', 'prefill'] : ['prefill', 'decode']);
    expect(call).not.toHaveBeenCalled();
  });

  it('says so when a connector needs an address that is not configured', async () => {
    const { legs } = explain(await run({ ...COORDINATOR, connector: 'p2p-nccl' }));
    expect(legs.map(({ body }) => body?.['max_tokens'])).toEqual([1, 7]);
  });
});

describe('an explanation', () => {
  it('of a request that is not split has one leg', async () => {
    const explanation = explain(await run(COORDINATOR), { body: { ...BODY, n: 2 } });
    expect(explanation).toMatchObject({
      ...{ answeredBy: 'remote', plan: { kind: 'whole', site: 'decode' }, cancellation: [] },
      legs: [{ role: 'whole', site: 'decode', body: { n: 2, max_tokens: 7 } }],
      considered: [{ leg: 'decode' }],
    });
    expect(explanation.deadline).toMatchObject({ prefillMs: null });
  });

  it('of one that runs here names this instance', async () => {
    expect(explain(await run())).toMatchObject({
      ...{ answeredBy: 'local', plan: { kind: 'whole', site: 'local' }, considered: [] },
      legs: [{ role: 'whole', site: 'local', stream: true }],
    });
  });

  it('says that it does not know how a plugin runs it', async () => {
    const running = await run();
    script.plan = () => of(jsonPart({}));
    expect(explain(running)).toMatchObject({ answeredBy: 'scripted', plan: { kind: 'unknown' }, legs: [] });
  });

  it('does not take for the plan what a manager that declined had in mind', async () => {
    const running = await run();
    script.plan = (request, local) => (local({ ...request, body: { prompt: 'other', odd: 1 } }), undefined);
    expect(explain(running).legs[0]?.body).not.toHaveProperty('odd');
  });

  it('tells of conditions, shares and managers that only look on', async () => {
    const managers = [
      { name: 'prefill-local-decode-remote', shadow: true },
      { name: 'decode-local-prefill-remote', canaryPercent: 0 },
      { name: SPLIT, disaggregateWhen: { minPromptTokens: 1_000 } },
    ];
    const decode = { endpoints: [D] };
    const running = await run({ connector: 'nixl', decode, managers });
    expect(explain(running)).toMatchObject({
      answeredBy: 'local',
      managers: [
        { manager: 'scripted', verdict: 'declined' },
        { manager: 'prefill-local-decode-remote', verdict: 'shadow_took' },
        { manager: 'decode-local-prefill-remote', verdict: 'canary' },
        { manager: SPLIT, verdict: 'condition' },
        { manager: 'local', verdict: 'took' },
      ],
    });
  });

  it('believes of legs and of the choice of a manager what the caller may say', async () => {
    const running = await run({ ...COORDINATOR, local: {} });
    const headers = { 'x-baton-leg': '1', 'X-Baton-Manager': 'local' };
    const asPeer = explain(running, { headers, caller: PEER });
    expect(asPeer).toMatchObject({ isLeg: true, answeredBy: 'local', plan: { kind: 'whole', site: 'local' } });
    expect(asPeer.managers[0]).toEqual({ manager: 'local', verdict: 'declined' });
    expect(explain(running, { headers })).toMatchObject({ isLeg: false, answeredBy: 'prefill-local-decode-remote' });
  });

  it('of what would be refused says with what', async () => {
    const running = await run(COORDINATOR);
    const unknown = explain(running, { headers: { 'x-baton-manager': 'nobody' }, caller: PEER });
    expect(unknown).toMatchObject({ answeredBy: null, refusal: { status: 400, code: 'unknown_manager' }, legs: [] });
    const late = explain(running, { headers: { 'x-request-timeout-ms': 'soon' } });
    expect(late.refusal).toMatchObject({ status: 400 });
  });

  it('without a connector is that this instance answers', async () => {
    expect(explain(await run({}))).toMatchObject({ answeredBy: 'local', managers: [], legs: [{ site: 'local' }] });
  });
});
