import { map, reduce, type OperatorFunction } from 'rxjs';
import { InferenceError } from '../inference-error.js';
import { isJsonObject, parseJson, type JsonObject } from '../json.js';
import type { ResponsePart } from '../response-part.js';

/** Reads an answer that is not streamed: emits it once, parsed, when it is whole. Fails with a 502 when it is no JSON object. */
export function wholeAnswer(): OperatorFunction<ResponsePart, JsonObject> {
  return (source) =>
    source.pipe(
      reduce<ResponsePart, ResponsePart[]>((parts, part) => (parts.push(part), parts), []),
      map((parts) => {
        const [first] = parts;
        return first?.kind === 'json' ? first.body : parseAnswer(parts);
      }),
    );
}

function parseAnswer(parts: readonly ResponsePart[]): JsonObject {
  const text = Buffer.concat(parts.flatMap((part) => (part.kind === 'bytes' ? [part.bytes] : []))).toString('utf8');
  try {
    const body = parseJson(text);
    if (isJsonObject(body)) return body;
  } catch {
    // Said below: an answer that cannot be read is the upstream's fault, whatever is wrong with it.
  }
  throw new InferenceError('The upstream answer is not a JSON object.', { status: 502, code: 'bad_upstream_answer' });
}
