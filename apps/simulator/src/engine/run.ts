import { randomBytes } from 'node:crypto';
import type { HangPoint } from '../faults/fault.js';
import { stopAt } from '../faults/stop-at.js';
import { enter, faultOf } from '../http/request-record.js';
import type { JsonObject } from '../json.js';
import type { KvLeg, LoadedKv } from '../kv/kv-transfer.js';
import { eosPosition } from './answer-tokens.js';
import { Choice, type AnswerStart } from './choice.js';
import { EngineError, Gone, kvLoadFailed } from './engine-error.js';
import type { EngineHost } from './engine-host.js';
import { Pace } from './pause.js';
import { loseLease, writePrompt } from './prompt-blocks.js';
import type { RunEnd, RunJob, Running } from './running.js';
import type { Step } from './sampling.js';

/** What is to be run, and its part in a KV transfer. */
export interface Job extends RunJob {
  readonly kv?: KvLeg;
}

const FIRST_TOKENS = 8;
/** The reason of a run's signal when an abort call ended it. */
const ABORT_CALL = new Gone('aborted by id');

/** One prompt on its way through the engine. `steps()` runs it; once. */
export class Run implements Running {
  /** The id inside of the engine, under which the ledger has its blocks. */
  readonly legId: string;
  /** Aborts when nobody waits for the answer any more, or an abort call ended it. */
  readonly signal: AbortSignal;
  readonly #abort = new AbortController();
  readonly #pace: Pace;
  #cachedTokens = 0;
  #completionTokens = 0;
  #handedOver: JsonObject | undefined;
  readonly #firstTokens: number[] = [];
  #settled = false;
  #kept = false;

  constructor(
    readonly engine: EngineHost,
    readonly job: Job,
  ) {
    this.legId = `${job.id}-${randomBytes(4).toString('hex')}`;
    this.signal = AbortSignal.any([job.gone, this.#abort.signal]);
    this.#pace = new Pace(this.signal);
    job.record.legIds.push(this.legId);
    job.record.promptTokens += job.promptIds.length;
    job.record.rank = job.rank;
  }

  get promptTokens(): number {
    return this.job.promptIds.length;
  }

  /** Tokens of the prompt that were not computed here. */
  get cachedTokens(): number {
    return this.#cachedTokens;
  }

  get completionTokens(): number {
    return this.#completionTokens;
  }

  /** The first tokens of choice 0, as many as a prefill may hand over. */
  get firstTokens(): readonly number[] {
    return this.#firstTokens;
  }

  /** What the KV transfer puts into the answer; there before the last step is. */
  get handedOver(): JsonObject | undefined {
    return this.#handedOver;
  }

  /** Ends the run with finish reason `abort`; too late after its last token, as in the field. */
  abort(): void {
    this.#abort.abort(ABORT_CALL);
  }

  /** Keeps the blocks after the run, for a lease if one is given; its end frees them as `expiredReason`. */
  keep(leaseMs?: number, expiredReason?: string): void {
    this.#kept = true;
    this.engine.ledger.hold(this.legId, 'handoff', leaseMs, expiredReason);
  }

  /**
   * Runs the prompt and gives the answer token by token.
   *
   * @throws EngineError when it cannot be run, Gone when the client has left.
   */
  async *steps(): AsyncGenerator<Step, void, undefined> {
    const { engine, job, legId, promptTokens, signal } = this;
    engine.runs.add(this);
    try {
      enter(job.record, 'queued');
      try {
        await this.#stopAt('queue');
        const turn = engine.scheduler.enter({ ...job, legId, promptTokens, signal });
        job.onAccepted?.();
        await turn;
      } catch (error) {
        this.#settled = true;
        job.kv?.refused?.(error instanceof EngineError ? 'admission' : 'client');
        if (error !== ABORT_CALL) throw error;
        job.record.outcome = 'stopped';
        yield* this.#aborted([]);
        return;
      }
      yield* this.#admitted();
    } finally {
      enter(job.record, 'finished');
      engine.runs.delete(this);
    }
  }

  async *#admitted(): AsyncGenerator<Step, void, undefined> {
    const { engine, job } = this;
    let choices: Choice[] = [];
    try {
      const start = await this.#prefill();
      enter(job.record, 'decode');
      choices = Array.from({ length: job.sampling.n }, (_, index) => new Choice(index, job.sampling, start));
      yield* this.#decode(choices);
    } catch (error) {
      if (error !== ABORT_CALL) throw error;
      job.record.outcome = 'stopped';
      await this.#settle('abort');
      yield* this.#aborted(choices);
    } finally {
      await this.#settle(job.gone.aborted ? 'abort' : 'failed');
      engine.scheduler.leave(job.rank);
    }
  }

  async #prefill(): Promise<AnswerStart> {
    const { engine, job } = this;
    const { promptIds, kv, record } = job;
    enter(record, 'loading');
    await kv?.beforePrefill?.(this);
    const loaded = kv?.load === undefined ? undefined : await this.#load(kv);
    enter(record, 'prefill');
    await this.#stopAt('prefill');
    this.#cachedTokens = Math.min(loaded?.content.tokens ?? engine.prefixCache.hit(promptIds), this.promptTokens);
    record.cachedTokens += this.#cachedTokens;
    await this.#pace.spend(((this.promptTokens - this.#cachedTokens) * engine.options.prefillUsPerToken) / 1_000);
    const cache = writePrompt(this.legId, promptIds, loaded, engine);
    await kv?.afterPrefill?.(this);
    engine.counts.promptTokens += this.promptTokens;
    return {
      cache,
      eosAt: faultOf(record, 'eos_first') === undefined ? eosPosition(promptIds) : 0,
      firstTokens: loaded?.firstTokens ?? [],
    };
  }

  async #load(kv: KvLeg): Promise<LoadedKv | undefined> {
    const { engine, job } = this;
    await this.#stopAt('load');
    try {
      if (faultOf(job.record, 'kv_load_failure') !== undefined) throw kvLoadFailed();
      return await kv.load?.(this);
    } catch (error) {
      if (!(error instanceof EngineError) || engine.options.kvLoadFailurePolicy === 'fail') throw error;
      return undefined;
    }
  }

  async *#decode(choices: readonly Choice[]): AsyncGenerator<Step, void, undefined> {
    const { engine, job } = this;
    const abortAfter = faultOf(job.record, 'abort_terminal');
    for (let open = [...choices]; open.length > 0; open = open.filter(({ finished }) => !finished)) {
      await this.#stopAt('token');
      if (abortAfter !== undefined && (open[0]?.tokens ?? 0) >= (abortAfter.afterTokens ?? 0)) throw ABORT_CALL;
      await this.#pace.spend(engine.options.decodeUsPerToken / 1_000);
      for (const choice of open) {
        const step = choice.next();
        this.#completionTokens += step.tokenIds.length;
        if (choice.index === 0 && this.#firstTokens.length < FIRST_TOKENS) this.#firstTokens.push(...step.tokenIds);
        job.record.tokens += step.tokenIds.length;
        engine.counts.generationTokens += step.tokenIds.length;
        engine.ledger.grow(this.legId, this.promptTokens + this.#completionTokens);
        if (step.finish !== undefined) job.record.finishReasons.push(step.finish);
        if (step.finish !== undefined && choices.every(({ finished }) => finished)) await this.#settle(step.finish);
        yield step;
      }
    }
  }

  *#aborted(choices: readonly Choice[]): Generator<Step, void, undefined> {
    for (let choice = 0; choice < this.job.sampling.n; choice++) {
      if (choices[choice]?.finished === true) continue;
      this.job.record.finishReasons.push('abort');
      yield { choice, tokenIds: [], text: '', logprobs: [], finish: 'abort', stopReason: null };
    }
  }

  /** Ends the part in the transfer and gives the blocks back, unless the transfer keeps them. Once. */
  async #settle(end: RunEnd): Promise<void> {
    if (this.#settled) return;
    this.#settled = true;
    const { engine, job } = this;
    engine.counts.finished[end] = (engine.counts.finished[end] ?? 0) + 1;
    try {
      this.#handedOver = await job.kv?.finished?.(this, end);
    } catch (error) {
      engine.log('kv transfer', { error: String(error), legId: this.legId });
    }
    if (this.#handedOver !== undefined) job.record.handedOver = this.#handedOver;
    if (!this.#kept) engine.ledger.free(this.legId, end === 'length' || end === 'stop' ? 'finished' : 'aborted');
    else if (faultOf(job.record, 'lease_expired') !== undefined) loseLease(this.legId, engine.ledger);
  }

  #stopAt(point: HangPoint): Promise<void> {
    return stopAt(point, this.job.record, this.engine.faults, this.signal);
  }
}
