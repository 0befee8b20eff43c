import type { InferenceAnswer } from '../../http/answer.js';
import { numberOf } from '../../json.js';

/** Sends comments in a stream whenever it was silent for an interval; the returned function ends that. */
export function startPings(answer: InferenceAnswer, defaultMs: number | undefined): () => void {
  const { body, exchange } = answer;
  const asked = numberOf(body['sse_ping_interval']);
  const ms = asked === undefined ? (defaultMs ?? 0) : asked * 1_000;
  if (body['stream'] !== true || ms <= 0) return () => undefined;
  const { response } = exchange;
  let written = response.socket?.bytesWritten ?? 0;
  const timer = setInterval(() => {
    if (response.destroyed || response.writableEnded) return;
    const now = response.socket?.bytesWritten ?? 0;
    if (now === written) {
      answer.events().open();
      response.write(':\n\n');
    }
    written = response.socket?.bytesWritten ?? 0;
  }, ms);
  return () => clearInterval(timer);
}
