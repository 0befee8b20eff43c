import { badRequest } from '../../engine/engine-error.js';
import type { App } from '../../http/app.js';
import type { Exchange } from '../../http/exchange.js';
import { isObject, objectOf, stringOf, type JsonObject } from '../../json.js';
import type { DialectOptions } from '../dialect.js';
import { derenderedChat, derenderedChatChunk, derenderedCompletion } from './derendered.js';
import { assertModel } from './leg.js';

/** Derender: answers of the token endpoint as answers of the OpenAI endpoints. */
export function registerDerender(app: App, options: DialectOptions): void {
  app.route('POST', '/v1/chat/completions/derender', async (exchange) => {
    const body = await checked(exchange, options);
    if (body['stream'] !== true)
      return exchange.send(200, derenderedChat(tokensOnly(body['generate_response']), options.model));
    const state = objectOf(body['stream_state']) ?? {};
    exchange.send(200, derenderedChatChunk(tokensOnly(body['generate_chunk']), state, options.model));
  });
  app.route('POST', '/v1/completions/derender', async (exchange) => {
    const body = await checked(exchange, options);
    const responses = body['generate_responses'];
    if (!Array.isArray(responses) || responses.length === 0)
      throw badRequest('generate_responses must be a non-empty list.', 'generate_responses');
    exchange.send(200, derenderedCompletion(responses.map(tokensOnly), options.model));
  });
}

async function checked(exchange: Exchange, options: DialectOptions): Promise<JsonObject> {
  const body = await exchange.json();
  assertModel(body, options.model);
  return body;
}

function tokensOnly(response: unknown): JsonObject {
  if (!isObject(response) || !Array.isArray(response['choices']))
    throw badRequest('An answer of the token endpoint is required.', 'generate_response');
  if ((stringOf(response['output_mode']) ?? 'tokens') !== 'tokens')
    throw badRequest('Only output_mode "tokens" can be derendered.', 'output_mode');
  return response;
}
