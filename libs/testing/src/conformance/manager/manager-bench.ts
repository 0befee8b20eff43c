import {
  DEFAULT_ABANDONED_PREFILL_MS,
  DEFAULT_RELEASE_TIMEOUT_MS,
  DEFAULT_TRANSFER_TIMEOUT_MS,
  type DisaggregatedRequestManager,
  type KvConnector,
  type Phase,
} from '@baton/coordination';
import type { InferenceRequest, ResponsePart } from '@baton/inference';
import { isObservable, type Observable } from 'rxjs';
import { CONCURRENT_CONTRACT, FakeConnector, SERIAL_CONTRACT } from '../../doubles/fake-connector.js';
import type { TestHost } from '../../host/test-host.js';
import type { VirtualTime } from '../../time/virtual-time.js';
import { must, saidBy } from '../check-failure.js';
import { endHost, hosted } from '../host-of.js';
import type { ConformanceSubject } from '../subject.js';
import { Watched } from '../watched.js';
import type { ManagerConformanceOptions } from './manager-options.js';
import { chatRequest } from './requests.js';

/** Longest time that an answer, or an error, is waited for: retries have delays. */
export const ANSWER_MS = 120_000;

/** A manager in a host of its own, and what time it is there. */
export class ManagerBench {
  constructor(
    readonly time: VirtualTime,
    readonly host: TestHost,
    readonly manager: DisaggregatedRequestManager,
    private readonly options: ManagerConformanceOptions,
  ) {}

  /** The protocol, for what is found under it. */
  get under(): string {
    const { order } = this.host.connector.contract;
    return order === 'serial' ? 'P before D' : 'P and D at once';
  }

  /** The handoffs that were released, where the protocol is the doubles' own. */
  get released(): readonly string[] {
    const { connector } = this.host;
    return connector instanceof FakeConnector ? connector.released : [];
  }

  /** A request that the manager takes. */
  request(stream: boolean): InferenceRequest {
    return this.options.request?.(stream) ?? chatRequest(stream);
  }

  /** What the manager says to a request. @throws CheckFailure when it throws, or says what is no answer. */
  dispatch(request: InferenceRequest): Observable<ResponsePart> | undefined {
    const said: unknown = this.#dispatch(request);
    if (said === undefined) return undefined;
    must(
      isObservable(said),
      `dispatch returned ${said instanceof Promise ? 'a Promise' : typeof said}, no Observable.`,
    );
    return said as Observable<ResponsePart>;
  }

  /** The answer to a request that the manager takes. @throws CheckFailure when it declines. */
  taken(request: InferenceRequest): Observable<ResponsePart> {
    const answer = this.dispatch(request);
    must(
      answer !== undefined,
      'It declined the request that it is checked with: give one that it takes in `request`, and say in `host` what it needs.',
    );
    return answer;
  }

  subscribe(request: InferenceRequest): Watched {
    return new Watched(this.taken(request));
  }

  /** Lets time pass until an answer is over. */
  async end(watched: Watched): Promise<void> {
    const isOver = await this.time.advanceUntil(() => watched.isOver, ANSWER_MS);
    must(isOver, `The client was left without an end for ${ANSWER_MS} ms (${this.under}).`);
  }

  /** How long what was open in `phase` may stay open. */
  boundMs(phase: Phase): number {
    if (this.options.boundMs !== undefined) return this.options.boundMs;
    const { coordination = {} } = this.options.host ?? {};
    const { [phase]: plan, transferring } = this.host.connector.contract.cancellation;
    const abandonedMs =
      plan.action === 'await_answer' ? (coordination.abandonedPrefillMs ?? DEFAULT_ABANDONED_PREFILL_MS) : 0;
    // A decode that waits for its endpoint counts as under way.
    const isFinished = plan.action === 'finish' || (phase === 'gap' && transferring.action === 'finish');
    const transferMs = isFinished ? (coordination.transferTimeoutMs ?? DEFAULT_TRANSFER_TIMEOUT_MS) : 0;
    return abandonedMs + transferMs + (coordination.releaseTimeoutMs ?? DEFAULT_RELEASE_TIMEOUT_MS);
  }

  /** @throws CheckFailure when something is open yet after the bound of `phase`. */
  async mustBeGivenBack(phase: Phase): Promise<void> {
    const boundMs = this.boundMs(phase);
    await this.time.advance(boundMs);
    const { open } = this.host;
    must(open.length === 0, `Still open after ${boundMs} ms (${this.under}): ${open.join(', ')}.`);
  }

  #dispatch(request: InferenceRequest): unknown {
    try {
      return this.manager.dispatch(request, this.host.local);
    } catch (error) {
      must(false, `dispatch threw ${saidBy(error)}.`);
      return undefined;
    }
  }
}

/** What the checks of managers are run with. */
export class ManagerChecking {
  constructor(
    readonly time: VirtualTime,
    private readonly subject: ConformanceSubject<DisaggregatedRequestManager>,
    readonly options: ManagerConformanceOptions,
  ) {}

  /** Runs `look` once under each protocol, each in a host of its own. */
  async each(look: (bench: ManagerBench) => Promise<void>): Promise<void> {
    const { connectors = DEFAULT_CONNECTORS } = this.options;
    for (const connector of connectors) await this.#with(connector(), look);
  }

  /** As {@link each}, for a request that is streamed and for one that is not. */
  async eachForm(look: (bench: ManagerBench, stream: boolean) => Promise<void>): Promise<void> {
    for (const stream of [true, false]) await this.each((bench) => look(bench, stream));
  }

  /** Runs `look` under one protocol. */
  async once(look: (bench: ManagerBench) => Promise<void>): Promise<void> {
    const [connector = serial] = this.options.connectors ?? [];
    await this.#with(connector(), look);
  }

  async #with(connector: KvConnector, look: (bench: ManagerBench) => Promise<void>): Promise<void> {
    const { host, instance } = await hosted(this.time, this.subject, this.options.host);
    if (connector instanceof FakeConnector) connector.free = (id) => host.engines.free(id);
    host.useConnector('checked', connector);
    try {
      await look(new ManagerBench(this.time, host, instance, this.options));
    } finally {
      await endHost(this.time, host);
    }
  }
}

const serial = (): KvConnector => new FakeConnector(SERIAL_CONTRACT);
const concurrent = (): KvConnector => new FakeConnector(CONCURRENT_CONTRACT);
const DEFAULT_CONNECTORS = [serial, concurrent];
