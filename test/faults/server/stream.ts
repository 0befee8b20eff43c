import { RawPost } from '../../support/raw-client.js';
import { completion } from '../transport/client.js';

/** How a streamed answer ended, as its bytes tell. */
export type Ending = 'whole' | 'error_event' | 'refused' | 'broken';

/** Begins a streamed answer of so many tokens, on a connection of its own. */
export function beginStream(url: string, prompt: string, tokens: number): Promise<RawPost> {
  return RawPost.send(url, '/v1/completions', completion(prompt, tokens), { connection: 'close' });
}

/** `broken` is one that does not tell that it is not whole. */
export function endingOf({ received }: RawPost): Ending {
  if (received === '' || /^HTTP\/1\.1 503 /.test(received)) return 'refused';
  const isDone = received.includes('data: [DONE]');
  const errors = received.split('data: {"error":').length - 1;
  if (isDone && errors === 1) return 'error_event';
  return isDone && errors === 0 && /"finish_reason":"\w+"/.test(received) ? 'whole' : 'broken';
}
