import { Agent, request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a client saw of one request. */
export interface Seen {
  /** When it was sent, in ms on the clock of `performance.now()`. */
  readonly at: number;
  readonly tookMs: number;
  readonly status: number;
  /** `x-baton-manager` and `x-baton-policy-version`; empty when missing. */
  readonly manager: string;
  readonly snapshot: string;
  /** Who signed the answer; undefined when nobody has. */
  readonly signature: string | undefined;
  /** Why it is a failure; undefined for a whole answer. */
  readonly failure: string | undefined;
}

/** What came of a load. */
export interface LoadReport {
  readonly seen: readonly Seen[];
  readonly failures: readonly Seen[];
  /** Requests sent per second, after the ramp. */
  readonly rate: number;
  /** Of sending, behind the schedule, in ms. */
  readonly worstLatenessMs: number;
}

const PROMPT = 'A fox named Ivy.';
const TOKENS = 2;

/** Sends requests at a rate, whether or not answers come: every other one is a stream. */
export class OpenLoop {
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 64 });
  readonly #seen: Seen[] = [];
  readonly #under = new Set<Promise<void>>();
  #isStopping = false;
  #report: Promise<LoadReport> | undefined;
  #worstLatenessMs = 0;
  #sentInRamp = 0;
  readonly #loop: Promise<void>;
  readonly #start = performance.now();

  constructor(
    private readonly url: string,
    private readonly perSecond: number,
    private readonly headers: Readonly<Record<string, string>> = {},
    /** How long it takes to come to its rate: processes that have just started are slow. */
    private readonly rampMs = 0,
  ) {
    this.#loop = this.#send();
  }

  /** Answers that have come. */
  get count(): number {
    return this.#seen.length;
  }

  /** Stops sending, waits for the last answer, and says what was seen. */
  stop(): Promise<LoadReport> {
    return (this.#report ??= this.#stop());
  }

  async #stop(): Promise<LoadReport> {
    this.#isStopping = true;
    await this.#loop;
    const seconds = (performance.now() - this.#start - this.rampMs) / 1_000;
    const sent = this.#seen.length + this.#under.size - this.#sentInRamp;
    await Promise.all(this.#under);
    this.#agent.destroy();
    return {
      seen: this.#seen,
      failures: this.#seen.filter(({ failure }) => failure !== undefined),
      rate: sent / seconds,
      worstLatenessMs: this.#worstLatenessMs,
    };
  }

  /** Until the next request after one that is due at `due`. */
  #intervalMs(due: number): number {
    const share = this.rampMs === 0 ? 1 : Math.min(1, 0.1 + (due - this.#start) / this.rampMs);
    return 1_000 / (this.perSecond * share);
  }

  async #send(): Promise<void> {
    for (let due = this.#start, number = 0; !this.#isStopping; due += this.#intervalMs(due), number += 1) {
      if (due - this.#start < this.rampMs) this.#sentInRamp += 1;
      const wait = due - performance.now();
      if (wait > 0) await sleep(wait);
      else this.#worstLatenessMs = Math.max(this.#worstLatenessMs, -wait);
      const one: Promise<void> = visit(this.url, this.#agent, number % 2 === 1, this.headers).then((seen) => {
        this.#seen.push(seen);
        this.#under.delete(one);
      });
      this.#under.add(one);
    }
  }
}

/** One request, to its end. Never rejects. */
export function visit(
  url: string,
  agent: Agent,
  stream: boolean,
  headers: Readonly<Record<string, string>> = {},
): Promise<Seen> {
  const at = performance.now();
  return new Promise((resolve) => {
    const nothing = { at, status: 0, manager: '', snapshot: '', signature: undefined };
    const end = (seen: Omit<Seen, 'tookMs'>): void => resolve({ ...seen, tookMs: performance.now() - at });
    const sent = httpRequest(`${url}/v1/completions`, { method: 'POST', agent, headers: { ...HEADERS, ...headers } });
    sent.on('error', (error) => end({ ...nothing, failure: String(error) }));
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('close', () => {
        const text = Buffer.concat(chunks).toString();
        const status = response.statusCode ?? 0;
        end({
          at,
          status,
          manager: String(response.headers['x-baton-manager'] ?? ''),
          snapshot: String(response.headers['x-baton-policy-version'] ?? ''),
          signature: (stream ? /^: (\S+@\S+)$/m : /"system_fingerprint":"([^"]+@[^"]+)"/).exec(text)?.[1],
          failure: failureOf(status, text, stream, response.complete),
        });
      });
    });
    sent.end(stream ? STREAM : WHOLE);
  });
}

const HEADERS = { 'content-type': 'application/json' };
const body = { model: 'sim', prompt: PROMPT, max_tokens: TOKENS, temperature: 0 };
const WHOLE = JSON.stringify(body);
const STREAM = JSON.stringify({ ...body, stream: true });

/** Success is a finish reason, no error, and for a stream the end mark with everything behind it. */
function failureOf(status: number, text: string, stream: boolean, isComplete: boolean): string | undefined {
  const isWhole = isComplete && text.includes('"finish_reason":"length"') && !text.includes('"error"');
  if (status === 200 && isWhole && (!stream || text.trimEnd().endsWith('data: [DONE]'))) return undefined;
  return `${status} ${isComplete ? 'complete' : 'cut off'}: ${text.slice(-400)}`;
}
