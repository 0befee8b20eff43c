import { isObject, objectOf, parseJson, stringifyJson, type JsonObject } from '../json.js';
import { parseOptions } from '../options.js';
import { startSimulator, type Simulator } from '../simulator.js';
import type { Fault } from '../faults/fault.js';

/** An answer as a spec looks at it. */
export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Empty when the answer is no JSON object. */
  readonly json: JsonObject;
  /** The data of the events, `[DONE]` included. */
  readonly events: readonly string[];
  /** The events that are JSON objects. */
  readonly chunks: readonly JsonObject[];
}

/** A simulator in this process, and what a spec does with it. */
export class Simulated {
  private constructor(readonly simulator: Simulator) {}

  static async start(...args: string[]): Promise<Simulated> {
    return new Simulated(await startSimulator(parseOptions(args)));
  }

  get url(): string {
    return this.simulator.url;
  }

  get addresses(): JsonObject {
    return this.simulator.addresses;
  }

  async post(
    path: string,
    body: unknown,
    headers: Record<string, string> = {},
    signal?: AbortSignal,
  ): Promise<Answered> {
    const text = typeof body === 'string' ? body : stringifyJson(body);
    return answered(
      await fetch(this.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', connection: 'close', ...headers },
        body: text,
        ...(signal && { signal }),
      }),
    );
  }

  async get(path: string): Promise<Answered> {
    return answered(await fetch(this.url + path, { headers: { connection: 'close' } }));
  }

  async faults(...faults: Fault[]): Promise<void> {
    const answer = await fetch(`${this.url}/sim/faults`, {
      method: 'PUT',
      body: JSON.stringify(faults),
      headers: { connection: 'close' },
    });
    if (answer.status !== 200) throw new Error(await answer.text());
  }

  /** What `GET /sim/ledger` says is held. */
  get held(): readonly JsonObject[] {
    const held = objectOf(this.simulator.engine.ledger.snapshot())?.['held'];
    return Array.isArray(held) ? held.filter(isObject) : [];
  }

  freedBy(reason: string): number {
    return this.simulator.engine.ledger.freedBy(reason);
  }

  /** The last record of `GET /sim/requests`. */
  async lastRequest(): Promise<JsonObject> {
    const records = parseJson((await this.get('/sim/requests')).text);
    return (Array.isArray(records) ? objectOf(records.at(-1)) : undefined) ?? {};
  }

  close(): Promise<void> {
    return this.simulator.close();
  }
}

async function answered(response: Response): Promise<Answered> {
  const { status, headers } = response;
  const text = await response.text();
  const events = text
    .split('\n\n')
    .filter((event) => event.startsWith('data: '))
    .map((event) => event.slice('data: '.length));
  return {
    status,
    headers,
    text,
    json: jsonOf(text),
    events,
    chunks: events.map(jsonOf).filter((chunk) => Object.keys(chunk).length > 0),
  };
}

function jsonOf(text: string): JsonObject {
  try {
    return objectOf(parseJson(text)) ?? {};
  } catch {
    return {};
  }
}

/** A field deep in an answer, like `choices.0.text`. */
export function at(value: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>(
      (inner, key) =>
        Array.isArray(inner) ? (inner[Number(key)] as unknown) : isObject(inner) ? inner[key] : undefined,
      value,
    );
}

/** The texts at one place of many chunks, together. */
export const textAt = (chunks: readonly unknown[], path: string): string =>
  chunks
    .map((chunk) => at(chunk, path))
    .filter((text) => typeof text === 'string')
    .join('');

/** Waits until a condition holds; fails after two seconds. */
export async function eventually(condition: () => boolean): Promise<void> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > 2_000) throw new Error(`never came true: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
