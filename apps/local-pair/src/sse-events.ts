import { isJsonObject, parseJson, type JsonObject } from '@baton/inference';

const DATA = 'data:';

/**
 * The JSON objects of an OpenAI stream, until its end mark.
 *
 * @throws Error with the server's message when the stream carries an error, or when it ends without the mark.
 */
export async function* sseObjects(stream: AsyncIterable<Uint8Array>): AsyncGenerator<JsonObject> {
  for await (const line of lines(stream)) {
    if (!line.startsWith(DATA)) continue;
    const data = line.slice(DATA.length).trim();
    if (data === '[DONE]') return;
    const event = parseJson(data);
    if (!isJsonObject(event)) continue;
    const { error } = event;
    if (isJsonObject(error)) throw new Error(String(error['message']));
    yield event;
  }
  throw new Error('The stream ended before it was whole.');
}

async function* lines(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of stream) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split(/\r?\n/);
    rest = parts.pop() ?? '';
    yield* parts;
  }
}
