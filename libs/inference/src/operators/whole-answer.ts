import { map, reduce, type OperatorFunction } from 'rxjs';
import { InferenceError } from '../inference-error.js';
import { answerJson } from '../answers/answer-json.js';
import { isJsonObject, type JsonObject } from '../json.js';
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
  const body = answerJson(Buffer.concat(parts.flatMap((part) => (part.kind === 'bytes' ? [part.bytes] : []))));
  if (isJsonObject(body)) return body;
  throw new InferenceError('The upstream answer is not a JSON object.', { status: 502, code: 'bad_upstream_answer' });
}
