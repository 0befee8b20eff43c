import { startBodiesRig, type BodiesRig } from '../bodies/rig.js';
import { HostileUpstream } from '../bodies/hostile-upstream.js';
import { PROBE } from '../bodies/probe.js';
import { InstanceProcess } from '../../support/instance-process.js';

/** A way that a stream takes through an instance. */
export interface Way {
  readonly name: string;
  readonly instance: InstanceProcess;
  readonly server: HostileUpstream;
  readonly path: string;
  readonly body: string;
  /** The events of the stream, as the engine server writes them; the last comes again and again and is about a KiB. */
  readonly events: readonly Buffer[];
}

/** Instances before servers of ours, one for each way. */
export interface ReadersRig {
  readonly bodies: BodiesRig;
  readonly ways: readonly Way[];
  readonly instances: readonly InstanceProcess[];
  stop(): Promise<void>;
}

const WORDS = 'a fox and a silver key, '.repeat(40);
const GOING = {
  id: 'x',
  object: 'x',
  created: 1,
  model: 'sim',
  choices: [{ index: 0, text: WORDS, finish_reason: null }],
};
const USAGE = { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 };
const TOKENS = Array.from({ length: 200 }, (_, index) => index);
const event = (data: unknown): Buffer => Buffer.from(`data: ${JSON.stringify(data)}\n\n`);

const TEXT_BODY = '{"prompt":"x","stream":true,"max_tokens":100000}';
const TOKEN_BODY = '{"token_ids":[1],"stream":true,"sampling_params":{"max_tokens":100000}}';

export async function startReadersRig(settings: Readonly<Record<string, string>> = {}): Promise<ReadersRig> {
  const bodies = await startBodiesRig(settings);
  const before = async (dialect: string): Promise<{ instance: InstanceProcess; server: HostileUpstream }> => {
    const server = await HostileUpstream.start();
    const own = { BATON_ENGINE_KIND: 'http', BATON_ENGINE_URL: server.url, BATON_ENGINE_DIALECT: dialect };
    const instance = await InstanceProcess.start({ ...own, BATON_LOG_LEVEL: 'error', ...settings }, undefined, [PROBE]);
    return { instance, server };
  };
  const [sglang, trtllm] = await Promise.all([before('sglang'), before('trtllm')]);
  const text = { path: '/v1/completions', body: TEXT_BODY };
  const tokens = { path: '/inference/v1/generate', body: TOKEN_BODY };
  const meta = { id: 'x', prompt_tokens: 1, finish_reason: null };
  const ways: Way[] = [
    { name: 'passed on', instance: bodies.plain, server: bodies.engine, ...text, events: [event(GOING)] },
    // The usage of P is put into each event: none goes on as it came.
    {
      ...{ name: 'merged', instance: bodies.coordinator, server: bodies.decode, ...text },
      events: [event({ ...GOING, usage: USAGE })],
    },
    {
      ...{ name: 'translated from SGLang', ...sglang, ...tokens },
      // The first is no beginning of the second: each event has new tokens only.
      events: [[7_777], TOKENS].map((output_ids) => event({ index: 0, output_ids, meta_info: meta })),
    },
    {
      ...{ name: 'translated from TensorRT-LLM', ...trtllm, ...tokens },
      events: [event({ id: 'x', choices: [{ index: 0, token_ids: TOKENS, finish_reason: null }] })],
    },
  ];
  return {
    bodies,
    ways,
    instances: [...bodies.instances, sglang.instance, trtllm.instance],
    stop: async () => {
      await Promise.all(
        [bodies, sglang.instance, sglang.server, trtllm.instance, trtllm.server].map((each) => each.stop()),
      );
    },
  };
}
