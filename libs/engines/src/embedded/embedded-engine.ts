import { InferenceError, newId, type InferenceRequest, type JsonObject, type ResponsePart } from '@baton/inference';
import { Observable, Subject } from 'rxjs';
import type { Engine, EngineHealth, EngineMetric, ModelCard, TextApi } from '../engine.js';
import { answer } from './run/answering.js';
import { ChatTemplate } from './request/chat-template.js';
import { EngineCounters } from './engine-counters.js';
import type { EngineParts } from './engine-parts.js';
import { EvaluationWatch } from './llama/evaluation-watch.js';
import { HandoffPull } from './handoff/handoff-pull.js';
import { HandoffStore } from './handoff/handoff-store.js';
import { EMBEDDED_CONNECTOR } from './handoff/handoff-ticket.js';
import type { LlamaRuntime } from './llama/llama-runtime.js';
import { resolveOptions, type EmbeddedEngineOptions, type ResolvedOptions } from './options.js';
import { prefillLeg } from './run/prefill-leg.js';
import { PrivateDirectory } from './handoff/private-directory.js';
import { PromptReader } from './request/prompt.js';
import { derender } from './render/derender.js';
import { renderRequest } from './render/render-request.js';
import { planRequest, type PlanContext, type RequestPlan } from './request/request-plan.js';
import { overloaded, SequencePool } from './llama/sequence-pool.js';
import { SequenceSlot } from './llama/sequence-slot.js';
import { SideChannel } from './handoff/side-channel.js';
import { endAtDeadline } from './support/deadline.js';
import { detokenizeAnswer, tokenizeAnswer } from './request/tokenize-api.js';

/** What exists between `start` and `stop`. */
interface Running {
  readonly parts: EngineParts;
  readonly planning: PlanContext;
  readonly sideChannel: SideChannel;
  readonly created: number;
}

/**
 * llama.cpp in this process: several requests at once in the sequences of one context, and KV handoff to and from
 * engines of its kind.
 */
export class EmbeddedEngine implements Engine {
  readonly connectors: readonly string[] = [EMBEDDED_CONNECTOR];
  readonly #options: ResolvedOptions;
  readonly #counters = new EngineCounters();
  readonly #watch = new EvaluationWatch();
  readonly #stopping = new Subject<void>();
  /** Plans that `check` made, for the `run` that follows. */
  readonly #plans = new WeakMap<InferenceRequest, RequestPlan>();
  #starting: Promise<void> | undefined;
  #running: Running | undefined;
  #requests = 0;

  /** @throws RangeError that names the option at fault. */
  constructor(options: EmbeddedEngineOptions = {}) {
    this.#options = resolveOptions(options);
  }

  get kvPort(): number | undefined {
    return this.#running?.parts.advertised.port;
  }

  start(): Promise<void> {
    this.#starting = this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    const directory = await PrivateDirectory.create(this.#options.kv.directory);
    try {
      // The library loads for half a second and needs a platform binary: only an engine that starts pays for it.
      const { loadLlama } = await import('./llama/llama-runtime.js');
      const runtime = await loadLlama(this.#options);
      try {
        this.#running = await this.#assemble(runtime, directory);
      } catch (error) {
        await runtime.dispose();
        throw error;
      }
    } catch (error) {
      await directory.remove();
      throw error;
    }
  }

  async #assemble(runtime: LlamaRuntime, directory: PrivateDirectory): Promise<Running> {
    const { kv, sequences, maxWaiting, waitTimeoutMs } = this.#options;
    const { fingerprint, context, vocabulary, modelName, chatTemplate, created } = runtime;
    const counters = this.#counters;
    const engineId = this.#options.engineId ?? newId();
    const handoffs = new HandoffStore({
      ttlMs: kv.handoffTtlMs,
      maxBytes: kv.maxKeptBytes,
      readTimeoutMs: kv.pullTimeoutMs,
      onEnd: (outcome) => (counters.handoffs[outcome] += 1),
    });
    const slots = Array.from({ length: sequences }, () => new SequenceSlot(context, this.#watch));
    const pool = new SequencePool(slots, { maxWaiting, waitTimeoutMs });
    const pull = new HandoffPull({ ...kv, engineId, fingerprint }, handoffs, directory, counters);
    const template =
      chatTemplate === undefined ? undefined : new ChatTemplate(chatTemplate, vocabulary.beginText, vocabulary.endText);
    const contextTokens = context.contextSize;
    const prompts = new PromptReader(vocabulary, template, contextTokens);
    const sideChannel = new SideChannel(handoffs, counters, { ...kv, fingerprint });
    const advertised = { host: kv.advertiseHost, port: await sideChannel.start() };
    return {
      parts: { engineId, runtime, pool, counters, directory, handoffs, pull, advertised },
      planning: { modelName, contextTokens, vocabularySize: vocabulary.size, prompts },
      sideChannel,
      created,
    };
  }

  async stop(): Promise<void> {
    // A start that is under way holds a directory and memory already; what it made is known once it has settled.
    await Promise.allSettled([this.#starting]);
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    this.#stopping.next();
    const { parts, sideChannel } = running;
    await parts.pool.drained();
    await Promise.all([sideChannel.stop(), parts.pull.close(), parts.handoffs.clear()]);
    await parts.runtime.dispose();
    await parts.directory.remove();
  }

  check(request: InferenceRequest): void {
    this.#plan(this.#serving(), request);
  }

  run(request: InferenceRequest): Observable<ResponsePart> {
    return new Observable((subscriber) => {
      try {
        const running = this.#serving();
        const plan = this.#plan(running, request);
        this.#admit(subscriber, running.parts.pool);
        endAtDeadline(subscriber, request.deadlineMs);
        if (subscriber.closed) return;
        subscriber.add(this.#stopping.subscribe(() => subscriber.error(notServing())));
        const { parts } = running;
        const result = plan.leg.kind === 'prefill' ? prefillLeg(request, plan, parts) : answer(request, plan, parts);
        subscriber.add(
          result.subscribe({
            next: (part) => subscriber.next(part),
            error: (error: unknown) => subscriber.error(InferenceError.from(error)),
            complete: () => subscriber.complete(),
          }),
        );
      } catch (error) {
        subscriber.error(InferenceError.from(error));
      }
    });
  }

  async models(): Promise<readonly ModelCard[]> {
    const { planning, created } = this.#serving();
    return [{ id: planning.modelName, created, ownedBy: 'baton', maxModelTokens: planning.contextTokens }];
  }

  async tokenize(body: JsonObject): Promise<JsonObject> {
    const { planning, parts } = this.#serving();
    return tokenizeAnswer(body, planning, parts.runtime.vocabulary);
  }

  async detokenize(body: JsonObject): Promise<JsonObject> {
    const { planning, parts } = this.#serving();
    return detokenizeAnswer(body, planning, parts.runtime.vocabulary);
  }

  async render(api: TextApi, body: JsonObject): Promise<JsonObject | JsonObject[]> {
    return renderRequest(api, body, this.#serving().planning);
  }

  async derender(api: TextApi, body: JsonObject): Promise<JsonObject> {
    const { planning, parts } = this.#serving();
    return derender(api, body, planning, parts.runtime.vocabulary);
  }

  async health(): Promise<EngineHealth> {
    if (this.#running === undefined) return { ready: false, reason: 'The engine is not running.' };
    const stalledMs = this.#watch.oldestMs();
    if (stalledMs < this.#options.stallTimeoutMs) return { ready: true };
    return { ready: false, reason: `An evaluation has made no progress for ${Math.round(stalledMs / 1000)} s.` };
  }

  metrics(): readonly EngineMetric[] {
    const parts = this.#running?.parts;
    const { size, idle, waiting } = parts?.pool ?? { size: 0, idle: 0, waiting: 0 };
    const gauge = (name: string, help: string, value: number, labels?: Record<string, string>): EngineMetric => ({
      name,
      help,
      type: 'gauge',
      samples: [{ value, labels }],
    });
    return [
      ...this.#counters.metrics(),
      {
        name: 'engine_sequences',
        help: 'Sequences of the engine, by whether a request has them.',
        type: 'gauge',
        samples: [
          { labels: { state: 'busy' }, value: size - idle },
          { labels: { state: 'idle' }, value: idle },
        ],
      },
      gauge('engine_waiting_requests', 'Requests that wait for a sequence.', waiting),
      gauge('handoffs_open', 'KV handoffs that are not settled.', parts?.handoffs.size ?? 0, { side: 'engine' }),
      gauge('engine_temp_files', 'Files with KV states.', parts?.directory.fileCount ?? 0),
    ];
  }

  #serving(): Running {
    if (this.#running === undefined) throw notServing();
    return this.#running;
  }

  #plan(running: Running, request: InferenceRequest): RequestPlan {
    const known = this.#plans.get(request);
    if (known !== undefined) return known;
    const plan = planRequest(request, running.planning);
    if (plan.leg.kind === 'decode') running.parts.pull.assertAllowed(plan.leg.ticket);
    this.#plans.set(request, plan);
    return plan;
  }

  /** Bounds the requests that transfer or hash a KV state. The others have a sequence or wait for one, and the pool bounds them. */
  #admit(subscriber: { add(teardown: () => void): void }, { size, idle, waiting }: EngineParts['pool']): void {
    const withoutSequence = this.#requests - waiting - (size - idle);
    if (withoutSequence >= this.#options.sequences + this.#options.maxWaiting) throw overloaded();
    this.#requests += 1;
    subscriber.add(() => (this.#requests -= 1));
  }
}

function notServing(): InferenceError {
  return new InferenceError('The engine is not running.', { status: 503, code: 'engine_not_running' });
}
