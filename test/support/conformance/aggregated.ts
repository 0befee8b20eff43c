import { SimulatorProcess } from '../simulator-process.js';
import { casesOf, stopOf, type Api, type Case, type EngineKind } from './cases.js';
import { isJson, type Json } from './json.js';
import { comparable, send } from './reading.js';
import type { Texts } from './legs/wire.js';

/** An engine server that runs requests whole: what the answers of a split must equal. Answers are kept. */
export class Aggregated implements Texts {
  readonly #answers = new Map<string, Promise<Json>>();
  readonly #stops = new Map<Api, Promise<string | number>>();

  constructor(
    private readonly server: { readonly url: string; stop(): Promise<unknown> },
    private readonly kind: EngineKind,
  ) {}

  static async simulated(dialect: 'vllm' | 'sglang' | 'trtllm'): Promise<Aggregated> {
    return new Aggregated(await SimulatorProcess.start({ dialect, kv: 'none' }), dialect);
  }

  async stop(): Promise<void> {
    await this.server.stop();
  }

  /** What it answers, without what differs from run to run. */
  answer(request: Case): Promise<Json> {
    const key = JSON.stringify([request.api, request.body]);
    const known = this.#answers.get(key) ?? this.#ask(request);
    this.#answers.set(key, known);
    return known;
  }

  /** The requests of a cell, for engines of a kind. */
  async cases(api: Api, stream: boolean, kind = this.kind): Promise<readonly Case[]> {
    const stop = this.#stops.get(api) ?? this.#findStop(api);
    this.#stops.set(api, stop);
    return casesOf(kind, { api, stream, stop: await stop }, this);
  }

  async tokenize(prompt: string): Promise<readonly number[]> {
    return (await this.#post('/tokenize', { prompt }))['tokens'] as number[];
  }

  async detokenize(tokens: readonly number[]): Promise<string> {
    return String((await this.#post('/detokenize', { tokens }))['prompt']);
  }

  async tokenizeChat({ messages, tools }: Json): Promise<readonly number[]> {
    return (await this.#post('/tokenize', { messages, tools }))['tokens'] as number[];
  }

  async #ask(request: Case): Promise<Json> {
    return comparable(await send(this.server.url, request), request);
  }

  async #findStop(api: Api): Promise<string | number> {
    const [plain] = await casesOf(this.kind, { api, stream: false, stop: '' }, this);
    if (plain === undefined) throw new Error('There are no cases.');
    const [answer] = (await send(this.server.url, plain)).events;
    if (!isJson(answer)) throw new Error(`No answer: ${String(answer)}`);
    return stopOf(api, answer);
  }

  async #post(path: string, body: Json): Promise<Json> {
    const response = await fetch(this.server.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return (await response.json()) as Json;
  }
}
