import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A request as its text came over the wire. */
export interface RecordedRequest {
  readonly path: string;
  readonly text: string;
}

/** The text that a request is answered with. A list is sent as server-sent events, with `[DONE]` behind them. */
export type RecordedAnswer = (request: RecordedRequest) => string | readonly string[];

/**
 * A server that reads and writes texts and never parses them: what it has recorded is what was on the wire, digit for
 * digit.
 */
export class Recorder {
  readonly requests: RecordedRequest[] = [];
  answer: RecordedAnswer = () => '{}';

  readonly #server = createServer((message, response) => {
    void text(message).then((received) => {
      const request = { path: message.url ?? '', text: received };
      this.requests.push(request);
      const answer = this.answer(request);
      const isStream = typeof answer !== 'string';
      response.writeHead(200, { 'content-type': isStream ? 'text/event-stream' : 'application/json' });
      response.end(isStream ? [...answer, '[DONE]'].map((event) => `data: ${event}\n\n`).join('') : answer);
    });
  });

  static async start(): Promise<Recorder> {
    const recorder = new Recorder();
    recorder.#server.listen(0, '127.0.0.1');
    await once(recorder.#server, 'listening');
    return recorder;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The text of the only request since the last time. */
  take(): string {
    const [only, ...more] = this.requests.splice(0);
    if (only === undefined || more.length > 0) throw new Error(`${more.length + (only ? 1 : 0)} requests, not one`);
    return only.text;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
