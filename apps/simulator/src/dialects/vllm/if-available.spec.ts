import { afterEach, expect, it } from '@jest/globals';
import { at, Simulated } from '../../testing/simulated.js';

const IF_AVAILABLE = { prefer: 'respond-async, If-Available; wait=1' };
// Blocks of a test are of four tokens, and each character of a prompt is one.
const PROMPT = 'Where is the blue door?';
const ids = [...Buffer.from(PROMPT)];
const APIS: readonly (readonly [string, object])[] = [
  ['/v1/completions', { prompt: PROMPT, max_tokens: 3 }],
  ['/v1/completions', { prompt: PROMPT, max_tokens: 3, stream: true }],
  ['/v1/chat/completions', { messages: [{ role: 'user', content: PROMPT }], max_tokens: 3 }],
  ['/inference/v1/generate', { token_ids: ids, sampling_params: { max_tokens: 3 } }],
];

const started: Simulated[] = [];
const start = async (...args: string[]): Promise<Simulated> => {
  const server = await Simulated.start('--block-tokens', '4', ...args);
  started.push(server);
  return server;
};
afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.close()));
});

it.each(APIS)('%s with %j is answered 412 until its prompt is cached', async (path, body) => {
  const server = await start('--conditional-decode');
  const refused = await server.post(path, body, IF_AVAILABLE);
  expect([refused.status, refused.text]).toEqual([
    412,
    'inference error: PreconditionFailed - no block of the prompt is cached',
  ]);
  expect(await server.lastRequest()).toMatchObject({ status: 412, outcome: 'refused' });
  // What was refused was not computed.
  expect((await server.post(path, body, IF_AVAILABLE)).status).toBe(412);
  expect((await server.post(path, body)).status).toBe(200);
  expect((await server.post(path, body, IF_AVAILABLE)).status).toBe(200);
  expect(server.held).toEqual([]);
});

it('takes a prompt of which a block is cached, and refuses one that is shorter than a block', async () => {
  const server = await start('--conditional-decode');
  const complete = (prompt: string) => server.post('/v1/completions', { prompt, max_tokens: 1 }, IF_AVAILABLE);
  await server.post('/v1/completions', { prompt: PROMPT, max_tokens: 1 });
  expect((await complete(`${PROMPT.slice(0, 4)} else`)).status).toBe(200);
  expect((await complete(PROMPT.slice(0, 3))).status).toBe(412);
  expect((await complete(`?${PROMPT}`)).status).toBe(412);
});

it('finds a prompt again whose KV came from elsewhere', async () => {
  const [p, d] = [await start('--kv', 'nixl'), await start('--kv', 'nixl', '--conditional-decode')];
  const prefilled = await p.post('/v1/completions', {
    prompt: PROMPT,
    max_tokens: 1,
    kv_transfer_params: { do_remote_decode: true },
  });
  const body = { prompt: PROMPT, max_tokens: 3 };
  const kv = at(prefilled.json, 'kv_transfer_params');
  expect((await d.post('/v1/completions', body, IF_AVAILABLE)).status).toBe(412);
  expect((await d.post('/v1/completions', { ...body, kv_transfer_params: kv })).status).toBe(200);
  const again = await d.post('/v1/completions', body, IF_AVAILABLE);
  expect([again.status, at(again.json, 'usage.prompt_tokens_details.cached_tokens')]).toEqual([200, 20]);
});

it('is ignored by a server that is not told to know it', async () => {
  const server = await start('--prefix-caching');
  expect((await server.post('/v1/completions', { prompt: PROMPT }, IF_AVAILABLE)).status).toBe(200);
});
