import type { ConsideredEndpoint, InferenceRequest, ResponsePart } from '@baton/inference';
import { defer, Observable, Subscription } from 'rxjs';
import type { DialectName } from './dialects/dialect.js';
import { parseEndpoint, type Endpoint, type EndpointOptions } from './endpoint.js';
import type { RemoteClient } from './http/remote-client.js';
import type { LegSite } from './leg-site.js';
import { attempt, type AttemptResult } from './limits/attempt.js';
import type { BreakerState } from './limits/breaker.js';
import { consideredOf } from './limits/considered.js';
import { EndpointLoad, roomIn } from './limits/endpoint-load.js';
import { EndpointTurns } from './limits/endpoint-turns.js';
import type { EndpointPicker } from './pickers/endpoint-picker.js';
import { RemoteUnavailableError } from './remote-unavailable.error.js';

/** What a pick must keep to. */
export interface PickOptions {
  /** Not these: they have just failed, or are taken by the other leg. */
  readonly except?: ReadonlySet<Endpoint>;
  /** It frees what others hold, so that it neither waits nor keeps to `maxInFlight`. */
  readonly isUrgent?: boolean;
}

/** How much is sent to the endpoints of a pool. */
export interface RemoteLimits {
  /** Legs at once on each endpoint. Default 1,024. */
  readonly maxInFlight?: number;
  /** Legs of the pool that wait for an endpoint; 0 lets none wait. Default 1,024. */
  readonly maxWaiting?: number;
  /** Longest wait. Default 10,000 ms. */
  readonly waitTimeoutMs?: number;
  /**
   * An endpoint that could not be reached, or did not begin to answer, so many times one after another is left alone for a
   * while; 0: never. Default 10.
   */
  readonly breakerFailures?: number;
  /** For how long, a fifth more or less; then one leg at a time finds out whether it is back. Default 5,000 ms. */
  readonly breakerOpenMs?: number;
}

/** What a pool takes besides its endpoints. */
export interface RemotePoolOptions extends RemoteLimits {
  /** What the pool is called where it is written down what was considered for a leg. Default `remote`. */
  readonly name?: string;
  /** Told of each leg on a remote that has ended. Must not throw and must return at once. */
  readonly onAttempt?: (endpoint: Endpoint, result: AttemptResult) => void;
}

/** What is known of one endpoint of a pool. */
export interface EndpointState {
  /** `host:port`. */
  readonly name: string;
  readonly state: BreakerState;
  /** Legs that hold it. */
  readonly inFlight: number;
  /** Legs that wait for it, among others. */
  readonly waiting: number;
}

/** The remote instances of one role, and who chooses among them. */
export class RemotePool {
  /** As in {@link RemotePoolOptions.name}. */
  readonly name: string;
  readonly #loads: readonly EndpointLoad[];
  readonly #turns: EndpointTurns;
  readonly #onAttempt: NonNullable<RemotePoolOptions['onAttempt']>;

  constructor(
    readonly endpoints: readonly Endpoint[],
    private readonly client: RemoteClient,
    /** Asked at each pick: the picker may be registered after the pool was made. */
    private readonly picker: () => EndpointPicker,
    options: RemotePoolOptions = {},
  ) {
    const { maxInFlight = 1_024, maxWaiting = 1_024, waitTimeoutMs = 10_000 } = options;
    const breaker = { failures: options.breakerFailures ?? 10, openMs: options.breakerOpenMs ?? 5_000 };
    this.#loads = endpoints.map((endpoint) => new EndpointLoad(endpoint, maxInFlight, breaker));
    this.#turns = new EndpointTurns(this.#loads, { maxWaiting, waitTimeoutMs });
    this.name = options.name ?? 'remote';
    this.#onAttempt = options.onAttempt ?? ((): void => undefined);
  }

  get isEmpty(): boolean {
    return this.endpoints.length === 0;
  }

  /** What is known of each endpoint now. */
  states(): readonly EndpointState[] {
    return this.#loads.map((load) => ({
      name: load.endpoint.name,
      state: load.breaker.state,
      inFlight: load.inFlight,
      waiting: this.#turns.waitingFor(load),
    }));
  }

  /** Which endpoints a leg that came now could have, and why not the others. Asks no picker and takes nothing. */
  considered({ except, isUrgent = false }: PickOptions = {}): readonly ConsideredEndpoint[] {
    return consideredOf(this.#loads, except, isUrgent);
  }

  /**
   * A resource: the remote for `request`, held until unsubscribed. The choice is made on subscription, not before. Waits
   * while every endpoint that is allowed has as many legs as it may have, fairly between callers.
   *
   * Fails with a `RemoteUnavailableError`: `no_endpoint`, or `busy` of the endpoint `none` when too many wait, or for too long.
   */
  pick(request: InferenceRequest, options: PickOptions = {}): Observable<LegSite> {
    const { except } = options;
    return defer(() => {
      const loads = except?.size ? this.#loads.filter(({ endpoint }) => !except.has(endpoint)) : this.#loads;
      if (loads.length === 0) {
        request.trace?.considered(this.name, this.considered(options));
        throw new RemoteUnavailableError('none', 'no_endpoint');
      }
      return this.#take(request, loads, options);
    });
  }

  #take(request: InferenceRequest, loads: readonly EndpointLoad[], options: PickOptions): Observable<LegSite> {
    const { caller, deadlineMs, trace } = request;
    const { isUrgent = false } = options;
    return new Observable((subscriber) => {
      let asking = new Subscription();
      let place: Subscription | undefined;
      const error = (thrown: unknown): void => subscriber.error(thrown);
      const hold = (load: EndpointLoad): void => {
        place = this.#place(load, isUrgent);
        subscriber.next({ endpoint: load.endpoint, run: (leg) => this.#run(load, leg) });
      };
      const choose = (): void => {
        const withRoom = roomIn(loads);
        const offered = isUrgent && withRoom.length === 0 ? loads : withRoom;
        const take = (chosen: Endpoint): void => {
          // A pick is for one endpoint, whatever else the picker says.
          if (place !== undefined) return;
          const load = offered.find(({ endpoint }) => endpoint === chosen);
          if (load === undefined) error(new Error(`The picker chose ${chosen.name}, which it was not offered.`));
          // A picker that took its time chose among those that had room before.
          else if (load.hasRoom || isUrgent) hold(load);
          else wait();
        };
        const endpoints = offered.map(({ endpoint }) => endpoint);
        trace?.considered(this.name, this.considered(options));
        asking.add(defer(() => this.picker().pick(request, endpoints)).subscribe({ next: take, error }));
      };
      const wait = (): void => {
        asking.unsubscribe();
        asking = new Subscription();
        asking.add(this.#turns.wait({ owner: caller.label, loads, deadlineMs }).subscribe({ next: choose, error }));
      };
      // Before what may end at once. The place comes last: whoever gets it finds the picker's own books up to date.
      subscriber.add(() => asking.unsubscribe());
      // Apart from that: the place is given back also when a picker's teardown throws.
      subscriber.add(() => place?.unsubscribe());
      if (isUrgent) return choose();
      if (trace !== undefined && roomIn(loads).length === 0) trace.considered(this.name, this.considered(options));
      wait();
    });
  }

  /** A place of `load`, until unsubscribed; then whoever waits may have it. */
  #place(load: EndpointLoad, isUrgent: boolean): Subscription {
    const giveBack = load.take({ isUrgent });
    return new Subscription(() => {
      giveBack();
      this.#turns.next();
    });
  }

  #run({ endpoint, breaker }: EndpointLoad, leg: InferenceRequest): Observable<ResponsePart> {
    return attempt(this.client.run(endpoint, leg), breaker, {
      trace: () => leg.trace?.leg({ id: leg.id, endpoint: endpoint.name, request: leg }),
      // Its breaker may have closed, and others wait for it.
      onAnswered: () => this.#turns.next(),
      onEnd: (result) => this.#onAttempt(endpoint, result),
    });
  }
}

/**
 * Reads the endpoints of a pool. Those that name no dialect speak the pool's.
 *
 * @throws Error naming the endpoint that cannot be read.
 */
export function poolEndpoints(options: readonly EndpointOptions[], dialect?: DialectName): readonly Endpoint[] {
  return options
    .map((each) => (typeof each === 'string' ? { url: each } : each))
    .map((each) => parseEndpoint({ ...each, dialect: each.dialect ?? dialect }));
}
