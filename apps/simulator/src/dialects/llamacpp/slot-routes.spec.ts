import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answerTo } from '../../engine/answer-tokens.js';
import { tokenize } from '../../engine/vocabulary.js';
import { Simulated } from '../../testing/simulated.js';

const prompt = 'A prompt that goes from slot to slot as a file.';
const ids = tokenize(prompt);

let directory = '';
let prefill: Simulated;
let decode: Simulated;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'simulator-'));
  prefill = await Simulated.start('--dialect', 'llamacpp', '--store-dir', directory);
  decode = await Simulated.start('--dialect', 'llamacpp', '--store-dir', directory);
});
afterEach(async () => {
  await Promise.all([prefill.close(), decode.close()]);
  await rm(directory, { recursive: true });
});

it('hands a cache over as a file', async () => {
  const read = await prefill.post('/completion', { prompt, id_slot: 1, n_predict: 0 });
  expect(read.json).toMatchObject({ content: '', tokens_predicted: 0, stop_type: 'limit', id_slot: 1 });
  const saved = await prefill.post('/slots/1?action=save', { filename: 'a.bin' });
  expect(saved.json).toMatchObject({
    id_slot: 1,
    filename: 'a.bin',
    n_saved: ids.length,
    n_written: expect.any(Number),
    timings: { save_ms: expect.any(Number) },
  });
  const restored = await decode.post('/slots/2?action=restore', { filename: 'a.bin' });
  expect(restored.json).toMatchObject({
    id_slot: 2,
    filename: 'a.bin',
    n_restored: ids.length,
    n_read: saved.json['n_written'],
    timings: { restore_ms: expect.any(Number) },
  });
  const { json } = await decode.post('/completion', { prompt, id_slot: 2, n_predict: 5 });
  expect(json).toMatchObject({
    content: answerTo(ids, { maxTokens: 5 }).text,
    timings: { cache_n: ids.length - 1, prompt_n: 1 },
  });
  expect((await prefill.post('/slots/1?action=erase', {})).json).toEqual({ id_slot: 1, n_erased: ids.length });
  expect([prefill.held, prefill.freedBy('slot_erased')]).toEqual([[], 1]);
});

it('restores nothing that is not there, and nothing of another model', async () => {
  await writeFile(join(directory, 'other.bin'), JSON.stringify({ model: 'another', ids }));
  for (const filename of ['none.bin', 'other.bin', '../a', ''])
    expect((await decode.post('/slots/0?action=restore', { filename })).status).toBe(400);
  expect((await decode.post('/slots/0?action=forget', {})).status).toBe(400);
  expect((await decode.post('/slots/7?action=erase', {})).status).toBe(400);
  expect(decode.held).toEqual([]);
});
