import { answerJson, AnswerTruth, jsonPart, readUpstream, type ResponsePart } from '@baton/inference';
import type { AnswerReading } from './answer-sink.js';

/**
 * Reads an answer that is not streamed. 200 is not success: what it says is judged by {@link AnswerTruth}. Its bytes go
 * on as they came, unless they are in another form than the field's.
 *
 * @throws InferenceError 502
 */
export function readAnswer(part: ResponsePart, { choices, translator }: AnswerReading): ResponsePart {
  const truth = new AnswerTruth({ choices });
  const body = part.kind === 'json' ? part.body : answerJson(part.bytes);
  if (translator === undefined) {
    truth.whole(body);
    return part;
  }
  const answer = readUpstream(() => translator.whole(body));
  truth.whole(answer);
  return jsonPart(answer);
}
