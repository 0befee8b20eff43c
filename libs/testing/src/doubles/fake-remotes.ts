import { jsonPart, type InferenceRequest, type ResponsePart } from '@baton/inference';
import {
  parseEndpoint,
  RemoteClient,
  RemotePool,
  StaticEndpointPicker,
  type CallRequest,
  type Endpoint,
  type EndpointOptions,
  type EndpointPicker,
  type LegSite,
  type PickOptions,
  type RemotePoolOptions,
} from '@baton/remotes';
import { defer, finalize, Observable, of, switchMap, tap, timer } from 'rxjs';
import { FakeEngines } from './fake-engines.js';
import type { LegSide } from './leg-log.js';
import { playScript, type LegScript } from './leg-script.js';

/** A call that is no leg: to a side channel, or a question to an engine. */
export interface RecordedCall {
  readonly endpoint: Endpoint;
  readonly request: CallRequest;
  readonly state: 'running' | 'over';
}

type Writable<T> = { -readonly [Field in keyof T]: T[Field] };

/** Says how a call that is no leg is answered; undefined: with an empty object. */
export type CallAnswer = (endpoint: Endpoint, request: CallRequest) => LegScript | undefined;

/** A client that reaches {@link FakeEngines} and no network. */
export class FakeRemoteClient extends RemoteClient {
  answerCall: CallAnswer = () => undefined;
  readonly #calls: Writable<RecordedCall>[] = [];

  constructor(
    private readonly side: LegSide,
    private readonly engines: FakeEngines,
  ) {
    super();
  }

  get calls(): readonly RecordedCall[] {
    return this.#calls;
  }

  override run(endpoint: Endpoint, leg: InferenceRequest): Observable<ResponsePart> {
    return this.engines.run(this.side, endpoint.name, leg);
  }

  override call(endpoint: Endpoint, request: CallRequest): Observable<ResponsePart> {
    return defer(() => {
      const call: Writable<RecordedCall> = { endpoint, request, state: 'running' };
      this.#calls.push(call);
      const script = this.answerCall(endpoint, request) ?? { parts: [jsonPart({})] };
      return playScript(script).pipe(finalize(() => (call.state = 'over')));
    });
  }
}

/** A pick that was asked for. */
export interface RecordedPick {
  readonly request: InferenceRequest;
  readonly options: PickOptions;
  /** Undefined while none was given. */
  readonly endpoint: Endpoint | undefined;
  /** `waiting` and `held` are open. */
  readonly state: 'waiting' | 'held' | 'given_back' | 'failed';
}

/** What {@link FakeRemotes} are made with. */
export interface FakeRemotesOptions extends RemotePoolOptions {
  /** Default two: `http://<role>-1.test:8000` and `-2`. An empty list is a pool without instances. */
  readonly endpoints?: readonly EndpointOptions[];
  /** What answers legs. Default: engines of its own. */
  readonly engines?: FakeEngines;
  readonly client?: RemoteClient;
  /** Default: in turn. */
  readonly picker?: () => EndpointPicker;
}

/** A real pool, with its limits, over instances that are none. Writes down picks, and can let them wait. */
export class FakeRemotes extends RemotePool {
  readonly engines: FakeEngines;
  /** How long each pick takes; `never`: none is given. Default 0 ms. */
  pickAfterMs: number | 'never' = 0;
  readonly #picks: Writable<RecordedPick>[] = [];

  constructor(
    readonly role: 'prefill' | 'decode',
    options: FakeRemotesOptions = {},
  ) {
    const { endpoints = fakeEndpoints(role, 2), engines = new FakeEngines() } = options;
    const turns = new StaticEndpointPicker();
    const client = options.client ?? new FakeRemoteClient(role, engines);
    super(endpoints.map(parseEndpoint), client, options.picker ?? ((): EndpointPicker => turns), options);
    this.engines = engines;
  }

  /** All that were asked for, in order. */
  get picks(): readonly RecordedPick[] {
    return this.#picks;
  }

  /** How many picks wait or are held, and how many legs hold an endpoint. 0 when nothing is open. */
  get open(): number {
    const picks = this.#picks.filter(({ state }) => state === 'waiting' || state === 'held').length;
    const legs = this.states().reduce((sum, { inFlight }) => sum + inFlight, 0);
    return Math.max(picks, legs);
  }

  override pick(request: InferenceRequest, options: PickOptions = {}): Observable<LegSite> {
    return new Observable((subscriber) => {
      const pick: Writable<RecordedPick> = { request, options, endpoint: undefined, state: 'waiting' };
      this.#picks.push(pick);
      subscriber.add(() => {
        if (pick.state !== 'failed') pick.state = 'given_back';
      });
      const site = this.#later().pipe(
        switchMap(() => super.pick(request, options)),
        tap({
          next: ({ endpoint }) => {
            pick.endpoint = endpoint;
            pick.state = 'held';
          },
          error: () => (pick.state = 'failed'),
        }),
      );
      subscriber.add(site.subscribe(subscriber));
    });
  }

  #later(): Observable<unknown> {
    if (this.pickAfterMs === 'never') return new Observable(() => undefined);
    return this.pickAfterMs === 0 ? of(0) : timer(this.pickAfterMs);
  }
}

/** Endpoints that nobody can dial, each with an address for KV. */
export function fakeEndpoints(role: string, count: number): readonly EndpointOptions[] {
  return Array.from({ length: count }, (_, index) => {
    const host = `${role}-${index + 1}.test`;
    return { url: `http://${host}:8000`, kvAddress: `${host}:5600` };
  });
}

/** As {@link FakeRemotes}. */
export function fakeRemotes(role: 'prefill' | 'decode', options: FakeRemotesOptions = {}): FakeRemotes {
  return new FakeRemotes(role, options);
}
