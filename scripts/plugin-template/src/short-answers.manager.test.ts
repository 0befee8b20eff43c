import { inferenceRequest, type InferenceRequest } from '@baton/inference';
import { assertConforms, conformManager, TestHost } from '@baton/testing';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lastValueFrom } from 'rxjs';
import { ShortAnswersManager } from './short-answers.manager.js';
import { ShortAnswersOptions } from './short-answers.options.js';

const options = Object.assign(new ShortAnswersOptions(), { maxTokens: 16 });

function chat(maxTokens: number, stream = false): InferenceRequest {
  const messages = [{ role: 'user', content: 'Tell me about a fox.' }];
  return inferenceRequest('chat', { model: 'any', messages, max_tokens: maxTokens, stream });
}

/** Runs `check` with an application in which other instances are doubles. */
async function inHost(check: (host: TestHost, manager: ShortAnswersManager) => unknown): Promise<void> {
  const host = await TestHost.make();
  try {
    await check(host, new ShortAnswersManager(host.split, host.decode, options));
    assert.deepEqual(host.open, []);
  } finally {
    await host.close();
  }
}

test('a request for a short answer is one leg, on a decode instance', () =>
  inHost(async (host, manager) => {
    const answer = manager.dispatch(chat(16));
    assert.ok(answer);
    await lastValueFrom(answer);
    assert.deepEqual(
      host.engines.log.legs.map(({ side, state }) => [side, state]),
      [['decode', 'complete']],
    );
  }));

test('any other request is left to the next manager', () =>
  inHost((host, manager) => {
    assert.equal(manager.dispatch(chat(17)), undefined);
    assert.equal(manager.dispatch(inferenceRequest('chat', { messages: [] })), undefined);
    assert.deepEqual(host.engines.log.legs, []);
  }));

test('it keeps what Baton expects of every manager', async () => {
  const report = await conformManager(ShortAnswersManager, {
    host: { pluginOptions: options },
    request: (stream) => chat(8, stream),
    declines: [() => chat(512)],
  });
  assertConforms(report);
});
