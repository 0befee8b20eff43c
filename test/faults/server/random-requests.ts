import { Agent, request } from 'node:http';
import type { Random } from '../support/random.js';

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'PROPFIND', 'PURGE'];

/** Sends requests in which everything that a client may choose is random, over connections that are kept. */
export class RandomRequests {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 32 });

  constructor(
    private readonly port: number,
    private readonly random: Random,
  ) {}

  /** Resolves with the status, or 0 when there was no answer. */
  send(): Promise<number> {
    const { random } = this;
    const word = (): string => random.next().toString(36).slice(2);
    const isInference = random.below(4) === 0;
    const path = isInference ? '/v1/completions' : `/${word()}/${word()}?${word()}=${word()}`;
    // What is wrong with a prompt is found before any engine is asked.
    const body = isInference
      ? JSON.stringify({ model: word(), user: word(), prompt: { [word()]: word() } })
      : undefined;
    return new Promise((resolve) => {
      const call = request(
        {
          ...{ host: '127.0.0.1', port: this.port, agent: this.#agent, path },
          method: isInference ? 'POST' : random.pick(METHODS),
          headers: {
            host: `${word()}.example`,
            'x-request-id': word(),
            'user-agent': word(),
            [`x-${word()}`]: word(),
            'x-baton-manager': word(),
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          },
        },
        (response) => {
          response.resume();
          response.once('close', () => resolve(response.statusCode ?? 0));
        },
      );
      call.once('error', () => resolve(0));
      call.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
