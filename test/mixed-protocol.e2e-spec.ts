import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { nothingHeld } from './support/coordinated-pair.js';
import { eventually } from './support/eventually.js';
import { InstanceProcess } from './support/instance-process.js';
import { idle } from './support/quiescence.js';
import { ask, FLOWS, type Answer } from './support/requests.js';
import { SimulatorProcess } from './support/simulator-process.js';

const PROMPT = 'Once upon a time there was a brave fox named Ivy.';
const TOKENS = Array.from({ length: 40 }, (_, index) => 5 + index);
const CASES = FLOWS.flatMap((flow) => [true, false].map((stream) => ({ flow, api: flow.api, stream })));
const LEASE_MS = 400;

/** Params as NIXL's P answers them. */
const NIXL = {
  do_remote_prefill: true,
  do_remote_decode: false,
  remote_engine_id: 'e47f3c2a-7b8e-4c9d-9d1e-1f2a3b4c5d6e',
  remote_request_id: 'cmpl-1-0',
  remote_block_ids: [[1, 2, 3]],
  remote_host: '127.0.0.1',
  remote_port: 5600,
  remote_num_tokens: 12,
  tp_size: 1,
};

/** Two protocols whose params have the same field names: each side alone would take the other's for its own. */
describe('sides that speak different handoff protocols', () => {
  let vllm: SimulatorProcess;
  /** Before the vLLM, without coordination. */
  let sidecar: InstanceProcess;
  /** The embedded engine, without coordination. */
  let embedded: InstanceProcess;
  const started: InstanceProcess[] = [];

  const instance = async (settings: Readonly<Record<string, string>>): Promise<InstanceProcess> => {
    const process = await InstanceProcess.start({ BATON_ENGINE_THREADS: '1', ...settings });
    started.push(process);
    return process;
  };
  const beforeVllm = {
    engine: () => ({ BATON_ENGINE_KIND: 'http', BATON_ENGINE_DIALECT: 'vllm', BATON_ENGINE_URL: vllm.url }),
    decode: () => ({
      BATON_COORDINATION_DECODE_ENDPOINTS: vllm.url,
      BATON_COORDINATION_DECODE_DIALECT: 'vllm',
    }),
  };

  /** What the simulated vLLM was asked to compute. */
  const computed = (): Promise<unknown> => vllm.get('requests');
  const refusal = ({ events }: Answer): unknown => (events[0] as { error?: unknown } | undefined)?.error;
  const expectRefused = (answer: Answer, message: string): void => {
    expect(answer.status).toBe(502);
    expect(answer.events).toHaveLength(1);
    expect(refusal(answer)).toEqual({ message, type: 'server_error', param: null, code: 'connector_mismatch' });
  };

  beforeAll(async () => {
    vllm = await SimulatorProcess.start({ dialect: 'vllm', kv: 'nixl', 'kv-lease-ms': LEASE_MS });
    [sidecar, embedded] = await Promise.all([
      instance(beforeVllm.engine()),
      instance({ BATON_KV_HANDOFF_TTL_MS: String(LEASE_MS) }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([...started.map((process) => process.stop()), vllm.stop()]);
  });

  describe('an embedded P and a vLLM D', () => {
    let prefill: InstanceProcess;

    beforeAll(async () => {
      prefill = await instance({ ...beforeVllm.decode(), BATON_COORDINATION_CONNECTOR: 'embedded' });
    });

    it.each(CASES)('are refused at dispatch: $api, stream $stream', async ({ flow, stream }) => {
      const before = await prefill.metric('baton_handoffs_settled_total', { outcome: 'freed' });
      const answer = await ask(prefill.url, flow, flow.body(PROMPT, TOKENS, 8), { stream });
      expectRefused(
        answer,
        `Endpoint ${new URL(vllm.url).host} does not take handoffs of connector embedded ` +
          '(GET /baton/v1/info: Not Found).',
      );
      expect(answer.headers.get('x-baton-manager')).toBe('prefill-local-decode-remote');
      // It never came to D, was not answered here in its place, and P holds nothing for it.
      expect(await computed()).toEqual([]);
      expect(await prefill.metric('baton_local_fallback_total')).toBe(0);
      await idle([prefill]);
      expect(await prefill.metric('baton_handoffs_settled_total', { outcome: 'freed' })).toBe(before + 1);
    });

    it('serve what needs no handoff', async () => {
      const answer = await ask(prefill.url, FLOWS[1]!, { ...FLOWS[1]!.body(PROMPT, TOKENS, 8), n: 2 });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('x-baton-manager')).toBe('local');
    });

    it('are refused as well when an instance stands before the vLLM', async () => {
      const coordinator = await instance({
        BATON_ENGINE_KIND: 'none',
        BATON_COORDINATION_CONNECTOR: 'embedded',
        BATON_COORDINATION_PREFILL_ENDPOINTS: embedded.url,
        BATON_COORDINATION_DECODE_ENDPOINTS: sidecar.url,
      });
      const answer = await ask(coordinator.url, FLOWS[0]!, FLOWS[0]!.body(PROMPT, TOKENS, 8), { stream: true });
      expectRefused(
        answer,
        `Endpoint ${new URL(sidecar.url).host} does not take handoffs of connector embedded ` +
          '(GET /baton/v1/info: it takes none).',
      );
      expect(await computed()).toEqual([]);
      // The client has its answer before the release has one.
      await eventually('nothing is owed', async () => (await coordinator.metric('baton_handoffs_open')) === 0);
      await idle([embedded]);
      expect(await coordinator.metric('baton_handoffs_settled_total', { outcome: 'freed' })).toBe(1);
    });
  });

  it('an embedded P behind a coordinator for NIXL is refused when it has prefilled', async () => {
    const coordinator = await instance({
      ...beforeVllm.decode(),
      BATON_ENGINE_KIND: 'none',
      BATON_COORDINATION_CONNECTOR: 'nixl',
      BATON_COORDINATION_PREFILL_ENDPOINTS: embedded.url,
    });
    for (const { flow, stream } of CASES) {
      const answer = await ask(coordinator.url, flow, flow.body(PROMPT, TOKENS, 8), { stream });
      expectRefused(
        answer,
        'The prefill instance handed over for connector embedded, but the configured connector is nixl.',
      );
    }
    expect(await computed()).toEqual([]);
    await eventually('nothing is owed', async () => (await coordinator.metric('baton_handoffs_open')) === 0);
    // Nobody here knows how to free another protocol's KV: it ends with P's own deadline.
    await idle([embedded], 5 * LEASE_MS);
  });

  it('a vLLM P beside an instance for embedded engines is refused when it has prefilled', async () => {
    const beside = await instance({
      ...beforeVllm.engine(),
      BATON_COORDINATION_CONNECTOR: 'embedded',
      BATON_COORDINATION_DECODE_ENDPOINTS: embedded.url,
    });
    const before = await embedded.metric('baton_requests_started_total');
    for (const { flow, stream } of CASES) {
      const answer = await ask(beside.url, flow, flow.body(PROMPT, TOKENS, 8), { stream });
      expectRefused(
        answer,
        'The prefill instance handed over for connector nixl, but the configured connector is embedded.',
      );
    }
    expect(await computed()).toEqual(CASES.map(() => expect.objectContaining({ leg: 'prefill', status: 200 })));
    expect(await embedded.metric('baton_requests_started_total')).toBe(before);
    expect(await beside.metric('baton_local_fallback_total')).toBe(0);
    await nothingHeld([vllm], 5 * LEASE_MS);
  });

  it.each(CASES)('an embedded D refuses the params of NIXL: $api, stream $stream', async ({ flow, stream }) => {
    const body = { ...flow.body(PROMPT, TOKENS, 8), kv_transfer_params: NIXL };
    const answer = await ask(embedded.url, flow, body, { stream });
    expect(answer.status).toBe(400);
    expect(refusal(answer)).toMatchObject({
      code: 'connector_mismatch',
      param: 'kv_transfer_params.kv_connector',
      message: expect.stringContaining('"embedded" only'),
    });
    await idle([embedded]);
  });
});
