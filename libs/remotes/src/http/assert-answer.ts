import { isJsonObject, parseJson, type ResponsePart } from '@baton/inference';
import { badAnswer } from './answer-sink.js';

/**
 * 200 is not success: an answer that is not streamed must be a JSON object with choices and without an error. Its bytes
 * go on as they came.
 *
 * @throws InferenceError 502
 */
export function assertAnswer(part: ResponsePart): void {
  const body = part.kind === 'json' ? part.body : tryParse(part.bytes);
  if (!isJsonObject(body) || !Array.isArray(body['choices']) || isJsonObject(body['error'])) {
    throw badAnswer('The upstream answer is not an answer of the OpenAI protocol.');
  }
}

function tryParse(bytes: Uint8Array): unknown {
  try {
    return parseJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  } catch {
    return undefined;
  }
}
