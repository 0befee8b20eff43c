import {
  bytesPart,
  inferenceRequest,
  InferenceError,
  jsonPart,
  SSE_DONE,
  sseEvent,
  type InferenceRequest,
  type JsonObject,
  type ResponsePart,
} from '@baton/inference';
import {
  NamedEndpointPicker,
  RemoteClient,
  RemoteUnavailableError,
  type Endpoint,
  type EndpointPicker,
} from '@baton/remotes';
import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Test } from '@nestjs/testing';
import { finalize, Observable, of, Subject } from 'rxjs';
import { EmbeddedKvConnector } from '../connectors/embedded.connector.js';
import { NamedKvConnector, type HandoffDescriptor, type ReleaseOutcome } from '../connectors/kv-connector.js';
import { REMOTE_CLIENT } from '../coordination.constants.js';
import { CoordinationModule } from '../coordination.module.js';
import { HandoffLedger } from '../ledger/handoff-ledger.js';
import { CoordinationObserver } from '../observer.js';
import { PrefillLocalDecodeRemoteManager } from './prefill-local-decode-remote.manager.js';

/** The embedded connector's legs, with releases that are only counted. */
@NamedKvConnector({ name: 'counting' })
class CountingConnector extends EmbeddedKvConnector {
  readonly released: HandoffDescriptor[] = [];
  override release(handoff: HandoffDescriptor): Observable<ReleaseOutcome> {
    this.released.push(handoff);
    return of('freed');
  }
}

/** Gives an endpoint when the test says so, and counts what is held. */
@NamedEndpointPicker({ name: 'gated' })
class GatedPicker implements EndpointPicker {
  readonly grants: (() => void)[] = [];
  failure: unknown;
  asked = 0;
  held = 0;
  pick(_request: InferenceRequest, [endpoint]: readonly Endpoint[]): Observable<Endpoint> {
    return new Observable((subscriber) => {
      this.asked++;
      this.held++;
      if (this.failure !== undefined) subscriber.error(this.failure);
      this.grants.push(() => {
        if (endpoint !== undefined) subscriber.next(endpoint);
      });
      return () => this.held--;
    });
  }
}

/** A leg that was started, and what the test lets it answer. */
interface StartedLeg {
  readonly leg: InferenceRequest;
  readonly parts: Subject<ResponsePart>;
  isEnded: boolean;
}

function start(legs: StartedLeg[], leg: InferenceRequest): Observable<ResponsePart> {
  return new Observable((subscriber) => {
    const started: StartedLeg = { leg, parts: new Subject(), isEnded: false };
    legs.push(started);
    return started.parts.pipe(finalize(() => (started.isEnded = true))).subscribe(subscriber);
  });
}

class ScriptedClient extends RemoteClient {
  readonly legs: StartedLeg[] = [];
  override run(_endpoint: Endpoint, leg: InferenceRequest): Observable<ResponsePart> {
    return start(this.legs, leg);
  }
}

const HANDOFF = {
  do_remote_prefill: true,
  remote_request_id: 'h-1',
  remote_host: '127.0.0.1',
  remote_port: 9,
  new_field: [{ x: null }],
};
const EVENT = bytesPart(sseEvent({ n: 1 }));

let manager: PrefillLocalDecodeRemoteManager;
let ledger: HandoffLedger;
let connector: CountingConnector;
let picker: GatedPicker;
let client: ScriptedClient;
let fellBack: jest.SpiedFunction<CoordinationObserver['fellBack']>;
let settled: jest.SpiedFunction<CoordinationObserver['settled']>;
let locals: StartedLeg[];

beforeEach(async () => {
  const module = await Test.createTestingModule({
    imports: [
      CoordinationModule.forRoot({
        connector: 'counting',
        picker: 'gated',
        decode: { endpoints: ['http://d:1'] },
        providers: [CountingConnector, GatedPicker],
      }),
    ],
  })
    .overrideProvider(REMOTE_CLIENT)
    .useValue(new ScriptedClient())
    .compile();
  await module.init();
  manager = module.get(PrefillLocalDecodeRemoteManager);
  ledger = module.get(HandoffLedger);
  connector = module.get(CountingConnector, { strict: false });
  picker = module.get(GatedPicker, { strict: false });
  client = module.get<ScriptedClient>(REMOTE_CLIENT);
  fellBack = jest.spyOn(module.get(CoordinationObserver), 'fellBack');
  settled = jest.spyOn(module.get(CoordinationObserver), 'settled');
  locals = [];
});

const BODY = {
  messages: [{ role: 'user', content: 'x' }],
  stream: true,
  stream_options: { include_usage: true },
  max_tokens: 64,
  min_tokens: 8,
  logprobs: true,
  top_logprobs: 2,
};

/** The request under way, and what its client has got so far. */
function dispatch(body: JsonObject = BODY): { log: unknown[]; leave: () => void } {
  const parts = manager.dispatch(inferenceRequest('chat', body), (leg) => start(locals, leg));
  if (parts === undefined) throw new Error('declined');
  expect(locals).toHaveLength(0); // cold
  const log: unknown[] = [];
  const subscription = parts.subscribe({
    next: (part) => log.push(part),
    error: (error: unknown) => log.push(error),
    complete: () => log.push('complete'),
  });
  return { log, leave: () => subscription.unsubscribe() };
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new Error(`There is no item ${index}.`);
  return item;
}

function answer(started: StartedLeg, ...parts: ResponsePart[]): void {
  for (const part of parts) started.parts.next(part);
  started.parts.complete();
}

function prefillAnswers(params: unknown = HANDOFF): void {
  answer(at(locals, 0), jsonPart({ choices: [{ text: 'The' }], kv_transfer_params: params }));
}

describe('PrefillLocalDecodeRemoteManager declines', () => {
  const declined = (api: 'chat' | 'generate', body: JsonObject, isLeg = false): unknown =>
    manager.dispatch(inferenceRequest(api, body, { isLeg }), (leg) => start(locals, leg));

  it.each([
    ['a prefill leg', { kv_transfer_params: { do_remote_decode: true } }],
    ['a decode leg', { kv_transfer_params: { do_remote_prefill: true } }],
    ['several choices', { n: 2 }],
  ])('%s', (_what, body) => {
    expect(declined('chat', body)).toBeUndefined();
    expect(locals).toEqual([]);
  });

  it('a leg that only its header marks, and several choices of the token endpoint', () => {
    expect(declined('chat', {}, true)).toBeUndefined();
    expect(declined('generate', { sampling_params: { n: 4 } })).toBeUndefined();
    expect(declined('generate', { sampling_params: { n: 1 } })).toBeDefined();
  });

  it('everything when there is no decode instance', async () => {
    const module = await Test.createTestingModule({
      imports: [CoordinationModule.forRoot({ connector: 'embedded' })],
    }).compile();
    await module.init();
    const alone = module.get(PrefillLocalDecodeRemoteManager);
    expect(alone.dispatch(inferenceRequest('chat', {}), (leg) => start(locals, leg))).toBeUndefined();
  });
});

describe('PrefillLocalDecodeRemoteManager', () => {
  it('prefills here: one token, no stream, and nothing that needs more', () => {
    dispatch();
    expect(locals).toHaveLength(1);
    const { leg } = at(locals, 0);
    expect(leg).toMatchObject({
      stream: false,
      isLeg: true,
      body: { max_tokens: 1, stream: false, messages: BODY.messages },
    });
    for (const field of ['stream_options', 'min_tokens', 'logprobs', 'top_logprobs'])
      expect(leg.body).not.toHaveProperty(field);
    expect(leg.body['kv_transfer_params']).toMatchObject({ do_remote_decode: true });
  });

  it('chooses the decode instance only when the prefill has answered, and forwards then', () => {
    const { log } = dispatch();
    expect(picker.asked).toBe(0);
    at(locals, 0).parts.next(jsonPart({ kv_transfer_params: HANDOFF }));
    expect(picker.asked).toBe(0); // the answer is not complete
    at(locals, 0).parts.complete();
    expect(picker.asked).toBe(1);
    expect(client.legs).toEqual([]);
    at(picker.grants, 0)();
    expect(client.legs).toHaveLength(1);
    expect(ledger.open).toBe(1);

    const decode = at(client.legs, 0);
    decode.parts.next(EVENT);
    expect(ledger.open).toBe(0);
    expect(settled.mock.calls).toEqual([['taken']]);
    answer(decode, bytesPart(SSE_DONE));
    expect(log).toEqual([EVENT, bytesPart(SSE_DONE), 'complete']);
    expect(picker.held).toBe(0);
    expect(connector.released).toEqual([]);
    expect(locals).toHaveLength(1);
  });

  it('decodes with the limits of the client again, and the handoff verbatim, under a fresh id', () => {
    dispatch();
    prefillAnswers();
    at(picker.grants, 0)();
    const { leg } = at(client.legs, 0);
    expect(leg.body).toEqual({ ...BODY, kv_transfer_params: HANDOFF });
    expect(leg).toMatchObject({ stream: true, isLeg: true });
    expect(leg.id).not.toBe(at(locals, 0).leg.id);
  });

  it('gives an answer that is not streamed as it comes', () => {
    const { log } = dispatch({ ...BODY, stream: false });
    prefillAnswers();
    at(picker.grants, 0)();
    const body = bytesPart(Buffer.from('{"id":"x"}'));
    answer(at(client.legs, 0), body);
    expect(log).toEqual([body, 'complete']);
    expect(ledger.open).toBe(0);
  });

  it.each([null, 'none', {}, { do_remote_prefill: false }])(
    'decodes plainly when P hands nothing over: %j',
    (params) => {
      dispatch();
      prefillAnswers(params);
      at(picker.grants, 0)();
      expect(at(client.legs, 0).leg.body).toEqual(BODY);
      expect(at(client.legs, 0).leg.isLeg).toBe(true);
      answer(at(client.legs, 0), EVENT);
      expect(ledger.open).toBe(0);
      expect(settled).not.toHaveBeenCalled();
    },
  );

  it('shows the error of a prefill that fails, and asks no decode instance', () => {
    const { log } = dispatch();
    const error = new InferenceError('Too long.', { status: 400, param: 'messages' });
    at(locals, 0).parts.error(error);
    expect(log).toEqual([error]);
    expect(picker.asked).toBe(0);
    expect(ledger.open).toBe(0);
  });

  it('refuses a prefill answer that cannot be read', () => {
    const { log } = dispatch();
    answer(at(locals, 0), bytesPart(Buffer.from('data: {}\n\n')));
    expect(log).toEqual([expect.objectContaining({ status: 502 })]);
  });
});

describe('when the decode instance fails', () => {
  const unreachable = new RemoteUnavailableError('d:1', 'connect');

  it('before the first part: the request is finished here, with the same handoff, and the observer is told', () => {
    const { log } = dispatch();
    prefillAnswers();
    at(picker.grants, 0)();
    at(client.legs, 0).parts.error(unreachable);
    expect(fellBack.mock.calls).toEqual([['connect']]);
    expect(picker.held).toBe(0);
    expect(locals).toHaveLength(2);
    const { leg } = at(locals, 1);
    expect(leg.body).toEqual(at(client.legs, 0).leg.body);
    expect(leg).toMatchObject({ stream: true, isLeg: true });
    expect(leg.id).not.toBe(at(client.legs, 0).leg.id); // a fresh id per attempt
    answer(at(locals, 1), EVENT);
    expect(log).toEqual([EVENT, 'complete']);
    expect(settled.mock.calls).toEqual([['taken']]);
    expect(connector.released).toEqual([]);
  });

  it('because none can be picked: the request is finished here', () => {
    picker.failure = new RemoteUnavailableError('none', 'no_endpoint');
    const { log } = dispatch();
    prefillAnswers();
    answer(at(locals, 1), EVENT);
    expect(log).toEqual([EVENT, 'complete']);
    expect(fellBack.mock.calls).toEqual([['no_endpoint']]);
  });

  it('after the first part: the failure is final', () => {
    const { log } = dispatch();
    prefillAnswers();
    at(picker.grants, 0)();
    at(client.legs, 0).parts.next(EVENT);
    at(client.legs, 0).parts.error(new RemoteUnavailableError('d:1', 'reset'));
    expect(log).toEqual([EVENT, expect.objectContaining({ code: 'remote_reset' })]);
    expect(locals).toHaveLength(1);
    expect(fellBack).not.toHaveBeenCalled();
    expect(picker.held).toBe(0);
    expect(ledger.open).toBe(0);
  });

  it('by refusing what this instance has accepted: it is finished here', () => {
    const { log } = dispatch();
    prefillAnswers();
    at(picker.grants, 0)();
    at(client.legs, 0).parts.error(new InferenceError('No such model.', { status: 404, param: 'model' }));
    expect(log).toEqual([]);
    expect(locals).toHaveLength(2);
    expect(fellBack.mock.calls).toEqual([['refused']]);
    expect(ledger.open).toBe(1);
  });

  it('and this instance too: the second error is shown, and the KV is released', () => {
    const { log } = dispatch();
    prefillAnswers();
    at(picker.grants, 0)();
    at(client.legs, 0).parts.error(unreachable);
    const error = new InferenceError('Full.', { status: 503 });
    at(locals, 1).parts.error(error);
    expect(log).toEqual([error]);
    expect(connector.released).toHaveLength(1);
    expect(ledger.open).toBe(0);
  });

  it('without a word: an answer that ends before its first part leaves the KV owed, so it is released', () => {
    const { log } = dispatch();
    prefillAnswers();
    at(picker.grants, 0)();
    at(client.legs, 0).parts.complete();
    expect(log).toEqual(['complete']);
    expect(connector.released).toHaveLength(1);
    expect(picker.held).toBe(0);
  });

  it('because its leg cannot be made: the error is shown, and the KV is released', () => {
    jest.spyOn(connector, 'decodeLeg').mockImplementation(() => {
      throw new Error('broken connector');
    });
    const { log } = dispatch();
    prefillAnswers();
    expect(log).toEqual([expect.objectContaining({ message: 'broken connector' })]);
    expect(connector.released).toHaveLength(1);
    expect(ledger.open).toBe(0);
  });
});

describe('when the client leaves', () => {
  /** Brings the request to each phase; what is owed there. */
  const PHASES: [string, () => void, { releases: number; outcome: string[] }][] = [
    ['during prefill', () => undefined, { releases: 0, outcome: [] }],
    ['in the gap, while no decode instance is chosen yet', () => prefillAnswers(), { releases: 1, outcome: ['freed'] }],
    [
      'after the decode leg was sent',
      () => {
        prefillAnswers();
        at(picker.grants, 0)();
      },
      { releases: 1, outcome: ['freed'] },
    ],
    [
      'after the first part',
      () => {
        prefillAnswers();
        at(picker.grants, 0)();
        at(client.legs, 0).parts.next(EVENT);
      },
      { releases: 0, outcome: ['taken'] },
    ],
    [
      'while the request is finished here',
      () => {
        prefillAnswers();
        at(picker.grants, 0)();
        at(client.legs, 0).parts.error(new RemoteUnavailableError('d:1', 'connect'));
      },
      { releases: 1, outcome: ['freed'] },
    ],
    ['in the gap, with nothing handed over', () => prefillAnswers(null), { releases: 0, outcome: [] }],
  ];

  it.each(PHASES)('%s: everything is given back, once', (_phase, reach, { releases, outcome }) => {
    const { log, leave } = dispatch();
    reach();
    const before = log.length;
    leave();
    leave();
    expect(connector.released).toHaveLength(releases);
    expect(settled.mock.calls.flat()).toEqual(outcome);
    expect(ledger.open).toBe(0);
    expect(picker.held).toBe(0);
    expect([...locals, ...client.legs].every(({ isEnded }) => isEnded)).toBe(true);
    // Nothing that comes too late is passed on or starts anything.
    const started = locals.length + client.legs.length;
    for (const leg of [...locals, ...client.legs]) leg.parts.next(EVENT);
    for (const grant of picker.grants) grant();
    expect(log).toHaveLength(before);
    expect(locals.length + client.legs.length).toBe(started);
  });

  it('before it subscribed: nothing has happened', () => {
    expect(manager.dispatch(inferenceRequest('chat', BODY), (leg) => start(locals, leg))).toBeDefined();
    expect(locals).toEqual([]);
    expect(ledger.open).toBe(0);
  });

  it('ends the decode before it releases the KV that the decode may be reading', () => {
    const { leave } = dispatch();
    prefillAnswers();
    at(picker.grants, 0)();
    const decode = at(client.legs, 0);
    let wasEnded = false;
    jest.spyOn(connector, 'release').mockImplementation(() => {
      wasEnded = decode.isEnded;
      return of('freed');
    });
    leave();
    expect(wasEnded).toBe(true);
  });
});
