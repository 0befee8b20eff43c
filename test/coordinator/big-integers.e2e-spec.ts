import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { nothingHeld, startCoordinatedPair } from '../support/coordinated-pair.js';
import { InstanceProcess } from '../support/instance-process.js';
import { Recorder } from '../support/recorder.js';
import { ask, FLOWS } from '../support/requests.js';

type Api = (typeof FLOWS)[number]['api'];

const [BEYOND, HIGHEST, UNSIGNED] = ['9007199254740993', '9223372036854775807', '18446744073709551615'];
const TIMES = [
  ...FLOWS.map(({ api, path }) => ({ api, path, stream: false })),
  ...FLOWS.map(({ api, path }) => ({ api, path, stream: true })),
];

/** Texts of bodies: nothing that this process parses or writes as JSON can have lost digits. */
const PROMPT: Readonly<Record<Api, string>> = {
  completions: '"prompt":"hello"',
  chat: '"messages":[{"role":"user","content":"hello"}]',
  generate: '"token_ids":[1,2,3]',
};
const USAGE = (details = ''): string => `"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5${details}}`;
/** The one choice of a whole answer, or the last of a stream. */
const choice = (api: Api, whole: boolean, more = ''): string => {
  const said = {
    completions: '"text":" you"',
    chat: whole ? '"message":{"role":"assistant","content":" you"}' : '"delta":{"content":" you"}',
    generate: '"token_ids":[7,8]',
  }[api];
  return `"choices":[{"index":0,${said},"finish_reason":"length"${more}}]`;
};

async function post(url: string, path: string, body: string): Promise<string> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url + path, { method: 'POST', headers, body });
  const answer = await response.text();
  if (response.status !== 200) throw new Error(`${response.status}: ${answer}\n${body}`);
  return answer;
}

const digitsOf = (text: string, field: string): string[] =>
  [...text.matchAll(new RegExp(`"${field}":(-?\\d+)(?=[,}\\]])`, 'g'))].map(([, digits]) => digits ?? '');

describe('integers beyond 2^53, as texts on the wire', () => {
  let prefill: Recorder;
  let decode: Recorder;
  const coordinators: InstanceProcess[] = [];

  const coordinator = async (connector: string, dialect: string): Promise<InstanceProcess> => {
    const process = await InstanceProcess.start({
      BATON_ENGINE_KIND: 'none',
      BATON_COORDINATION_CONNECTOR: connector,
      BATON_COORDINATION_PREFILL_DIALECT: dialect,
      BATON_COORDINATION_PREFILL_ENDPOINTS: prefill.url,
      BATON_COORDINATION_DECODE_DIALECT: dialect,
      BATON_COORDINATION_DECODE_ENDPOINTS: decode.url,
    });
    coordinators.push(process);
    return process;
  };

  beforeAll(async () => {
    [prefill, decode] = await Promise.all([Recorder.start(), Recorder.start()]);
  });
  afterEach(() => {
    for (const { requests } of [prefill, decode]) requests.length = 0;
  });
  afterAll(async () => {
    await Promise.all(coordinators.map((process) => process.stop()));
    await Promise.all([prefill.close(), decode.close()]);
  });

  describe('with NIXL', () => {
    let url: string;
    beforeAll(async () => ({ url } = await coordinator('nixl', 'vllm')));

    const PARAMS = (more: string): string =>
      '"kv_transfer_params":{"do_remote_prefill":true,"do_remote_decode":false,"remote_engine_id":"e",' +
      `"remote_block_ids":[[1]],"remote_host":"127.0.0.1","remote_port":5600,${more}}`;

    /** One request with these integers in all places; what came out at every end. */
    const exchange = async (api: Api, path: string, stream: boolean, [a, b, c]: readonly string[]): Promise<void> => {
      prefill.answer = () =>
        `{"id":"p",${choice(api, true)},${USAGE()},${PARAMS(`"lease":${a},"blocks":[${b},[${c}]]`)}}`;
      const head = `"id":"d","trace":${a}`;
      decode.answer = () =>
        stream
          ? [
              `{${head},${choice(api, false, `,"mark":${b}`).replace('"length"', 'null')}}`,
              `{${head},${choice(api, false, `,"mark":${b}`)}}`,
              `{${head},"choices":[],${USAGE(`,"cost":${c}`)}}`,
            ]
          : `{${head},${choice(api, true, `,"mark":${b}`)},${USAGE(`,"cost":${c}`)}}`;
      const answer = await post(
        url,
        path,
        `{"model":"m",${PROMPT[api]},"unknown":{"deep":[[${a}],{"more":${b}}]},"number":${c},"text":"${a}"` +
          `${api === 'generate' ? `,"sampling_params":{"max_tokens":9,"extra":${b}}` : `,"max_tokens":9,"extra":${b}`}` +
          `,"stream":${stream}${stream ? ',"stream_options":{"include_usage":true}' : ''}}`,
      );
      const [asked, taken] = [prefill.take(), decode.take()];
      for (const leg of [asked, taken]) {
        expect(leg).toContain(`"unknown":{"deep":[[${a}],{"more":${b}}]},"number":${c},"text":"${a}"`);
        expect(digitsOf(leg, 'extra')).toEqual([b]);
      }
      // On the token endpoint the params go twice.
      const times = api === 'generate' ? 2 : 1;
      expect(taken.split(`"lease":${a},"blocks":[${b},[${c}]]}`)).toHaveLength(1 + times);
      expect(digitsOf(answer, 'trace')).toEqual(stream ? [a, a, a] : [a]);
      expect(digitsOf(answer, 'mark')).toEqual(stream ? [b, b] : [b]);
      // This one is in what was joined from the answers of both sides.
      expect(digitsOf(answer, 'cost')).toEqual([c]);
      expect(digitsOf(answer, 'total_tokens')).toEqual(['5']);
    };

    it.each(TIMES)('keeps those of clients, P and D: $api, stream $stream', ({ api, path, stream }) =>
      exchange(api, path, stream, [BEYOND, HIGHEST, `-${BEYOND}`]),
    );

    it.each(FLOWS)('keeps a seed of 63 bits: $api', async ({ api, path }) => {
      prefill.answer = () => `{"id":"p",${choice(api, true)},${USAGE()},${PARAMS('"x":1')}}`;
      decode.answer = () => `{"id":"d",${choice(api, true)},${USAGE()}}`;
      const seed = `"seed":${HIGHEST}`;
      await post(
        url,
        path,
        `{"model":"m",${PROMPT[api]},${api === 'generate' ? `"sampling_params":{${seed}}` : seed}}`,
      );
      expect(digitsOf(prefill.take(), 'seed')).toEqual([HIGHEST]);
      expect(digitsOf(decode.take(), 'seed')).toEqual([HIGHEST]);
    });

    it('keeps any', async () => {
      const integer = fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n }).map(String);
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...TIMES), fc.tuple(integer, integer, integer), ({ api, path, stream }, all) =>
          exchange(api, path, stream, all),
        ),
        { numRuns: 120, seed: 53 },
      );
    });

    it('keeps those beside a list of token ids that is not parsed', async () => {
      prefill.answer = () => `{"id":"p",${choice('generate', true)},${USAGE()},${PARAMS('"x":1')}}`;
      decode.answer = () => `{"id":"d",${choice('generate', true)},${USAGE()}}`;
      const ids = `"token_ids":[${Array.from({ length: 50_000 }, (_, index) => index).join(',')}]`;
      await post(
        url,
        '/inference/v1/generate',
        `{"model":"m","before":${UNSIGNED},${ids},"sampling_params":{"max_tokens":2,"extra":${HIGHEST}}}`,
      );
      for (const leg of [prefill.take(), decode.take()]) {
        expect(leg).toContain(ids);
        expect(digitsOf(leg, 'before')).toEqual([UNSIGNED]);
        expect(digitsOf(leg, 'extra')).toEqual([HIGHEST]);
      }
    });
  });

  describe('with TensorRT-LLM', () => {
    let url: string;
    beforeAll(async () => ({ url } = await coordinator('trtllm', 'trtllm')));

    /** P and D both speak completions on the token endpoint. */
    const spoken = (api: Api): Api => (api === 'generate' ? 'completions' : api);
    const tokens = (api: Api): string => (api === 'generate' ? ',"token_ids":[7]' : '');

    it.each(TIMES)('hands over ids of 63 bits: $api, stream $stream', async ({ api, path, stream }) => {
      const params = `"ctx_request_id":${HIGHEST},"first_gen_tokens":[5],"ctx_dp_rank":0,"later":[${UNSIGNED}]`;
      let id = '';
      prefill.answer = ({ text }) => {
        [id = ''] = digitsOf(text, 'disagg_request_id');
        const own = `,"disaggregated_params":{"request_type":"context_only","disagg_request_id":${id},${params}}`;
        return `{"id":"p",${choice(spoken(api), true, tokens(api) + own)},${USAGE()},"prompt_token_ids":[1,2,3]}`;
      };
      decode.answer = () => {
        const answer = choice(spoken(api), !stream, tokens(api));
        return stream ? [`{"id":"d",${answer}}`] : `{"id":"d",${answer},${USAGE()}}`;
      };
      const { body } = FLOWS.find((flow) => flow.api === api)!;
      await post(url, path, JSON.stringify({ model: 'm', ...body('hello', [1, 2, 3], 4), stream }));

      expect(BigInt(id)).toBeGreaterThanOrEqual(2n ** 62n);
      expect(BigInt(id)).toBeLessThan(2n ** 63n);
      expect(digitsOf(prefill.take(), 'disagg_request_id')).toEqual([id]);
      const taken = decode.take();
      expect(digitsOf(taken, 'disagg_request_id')).toEqual([id]);
      expect(digitsOf(taken, 'ctx_request_id')).toEqual([HIGHEST]);
      expect(taken).toContain(`"later":[${UNSIGNED}]`);
      expect(taken).toContain('"request_type":"generation_only"');
    });
  });

  describe('with SGLang', () => {
    let url: string;
    beforeAll(async () => ({ url } = await coordinator('sglang', 'sglang')));

    it.each(TIMES)('meets in one room below 2^53: $api, stream $stream', async ({ api, path, stream }) => {
      const meta = '"meta_info":{"id":"r","prompt_tokens":3,"completion_tokens":2,"finish_reason":{"type":"length"}}';
      const answer = (): string =>
        api === 'generate' ? `{"output_ids":[7,8],${meta}}` : `{"id":"d",${choice(api, true)},${USAGE()}}`;
      prefill.answer = answer;
      decode.answer = () => {
        if (!stream) return answer();
        return [api === 'generate' ? answer() : `{"id":"d",${choice(api, false)}}`];
      };
      const rooms = new Set<string>();
      for (let times = 0; times < 10; times++) {
        const sampling = api === 'generate' ? ',"sampling_params":{"max_tokens":2}' : '';
        const client = `"unknown":${UNSIGNED}`;
        await post(url, path, `{"model":"m",${PROMPT[api]}${sampling},"stream":${stream},${client}}`);
        const legs = [prefill.take(), decode.take()];
        const [room = '', ...more] = legs.flatMap((leg) => digitsOf(leg, 'bootstrap_room'));
        expect(more).toEqual([room]);
        expect(Number.isSafeInteger(Number(room))).toBe(true);
        expect(legs.map((leg) => digitsOf(leg, 'unknown'))).toEqual([[UNSIGNED], [UNSIGNED]]);
        rooms.add(room);
      }
      expect(rooms.size).toBe(10);
    });
  });
});

describe('ids of a transfer, with the simulated servers that find each other by them', () => {
  it.each([
    { name: 'trtllm', fields: ['disagg_request_id', 'ctx_request_id'], least: 2n ** 62n, most: 2n ** 63n - 1n },
    { name: 'sglang', fields: ['bootstrap_room'], least: 1n, most: 2n ** 53n - 1n },
  ])('$name', async ({ name, fields, least, most }) => {
    const pair = await startCoordinatedPair({ flags: { dialect: name, kv: name } });
    try {
      for (const flow of FLOWS) {
        for (const stream of [false, true]) {
          const body = { model: 'sim', ...flow.body('Tell me a story.', [84, 101, 108, 108], 5) };
          const answer = await ask(pair.coordinator.url, flow, body, { stream });
          expect(answer).toMatchObject({ status: 200, finishReason: 'length' });
        }
      }
      await nothingHeld([pair.prefill, pair.decode]);
      const [asked, taken] = await Promise.all(
        [pair.prefill, pair.decode].map(async ({ url }) => (await fetch(`${url}/sim/requests`)).text()),
      );
      for (const field of fields) {
        const ids = new Set(digitsOf(taken ?? '', field));
        expect(ids.size).toBe(6);
        expect(new Set(digitsOf(asked ?? '', field))).toEqual(ids);
        for (const id of ids) {
          expect(BigInt(id)).toBeGreaterThanOrEqual(least);
          expect(BigInt(id)).toBeLessThanOrEqual(most);
        }
      }
    } finally {
      await pair.stop();
    }
  });
});
