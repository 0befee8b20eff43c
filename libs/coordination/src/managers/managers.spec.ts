import {
  inferenceRequest,
  jsonPart,
  type InferenceRequest,
  type JsonObject,
  type ResponsePart,
} from '@baton/inference';
import { parseEndpoint, RemoteClient, RemotePool, StaticEndpointPicker, type LegSite } from '@baton/remotes';
import { describe, expect, it } from '@jest/globals';
import { Test } from '@nestjs/testing';
import { firstValueFrom, NEVER, of, type Observable } from 'rxjs';
import { DECODE_POOL, PREFILL_POOL } from '../coordination.constants.js';
import { CoordinationModule } from '../coordination.module.js';
import type { CoordinationOptions } from '../coordination.options.js';
import { ManagerRegistry } from '../registry/manager-registry.js';
import { LocalSite } from '../split/local-site.js';
import type { SplitSites } from '../split/split-sites.js';
import { type Split } from '../split/split.js';
import { DecodeLocalPrefillRemoteManager } from './decode-local-prefill-remote.manager.js';
import type { DisaggregatedRequestManager, LocalExecution } from './disaggregated-request-manager.js';
import { LocalManager } from './local.manager.js';
import { PrefillLocalDecodeRemoteManager } from './prefill-local-decode-remote.manager.js';
import { PrefillRemoteDecodeRemoteManager } from './prefill-remote-decode-remote.manager.js';
import { RemoteManager } from './remote.manager.js';

const client = new RemoteClient();
const picker = new StaticEndpointPicker();
const pool = (...urls: string[]): RemotePool => new RemotePool(urls.map(parseEndpoint), client, () => picker);
const NONE = pool();
const P = pool('http://p:1');
const D = pool('http://d:1');

const here = (options: CoordinationOptions = {}): LocalSite => new LocalSite(options);
const elsewhere = here({ local: { isAvailable: false } });

/** Notes where the legs would run, and runs none. */
class NotedSplit {
  sites: SplitSites | undefined;
  wholeOn: unknown;
  readonly run = (_request: InferenceRequest, sites: SplitSites): Observable<ResponsePart> => {
    this.sites = sites;
    return NEVER;
  };
  readonly whole = (_request: InferenceRequest, source: unknown): Observable<ResponsePart> => {
    this.wholeOn = source;
    return NEVER;
  };
}

/** Of the real one, the managers use no more. */
const asSplit = (noted: NotedSplit): Split => noted as unknown as Split;

const local: LocalExecution = () => of(jsonPart({ ran: 'here' }));
const held = (source: Observable<LegSite>): Promise<LegSite> => firstValueFrom(source);

function decided(manager: DisaggregatedRequestManager, body: JsonObject = {}, isLeg = false): boolean {
  return manager.dispatch(inferenceRequest('completions', body, { isLeg }), local) !== undefined;
}

describe('prefill-local-decode-remote', () => {
  it('runs P here and D in the pool, and finishes here when no D answers', async () => {
    const split = new NotedSplit();
    const site = here({ local: { endpoint: { url: 'http://127.0.0.1:8000', kvAddress: '127.0.0.1:8998' } } });
    const manager = new PrefillLocalDecodeRemoteManager(asSplit(split), site, D);
    const request = inferenceRequest('completions', {});
    expect(manager.dispatch(request, local)).toBeDefined();
    const prefill = await held(split.sites?.prefill.pick(request) ?? NEVER);
    expect(prefill).toMatchObject({ endpoint: { name: '127.0.0.1:8000', kv: { ports: [8998] } }, run: local });
    expect(split.sites).toMatchObject({ decode: D, withoutDecode: local });
    expect(split.sites).not.toHaveProperty('withoutPrefill');
  });

  it.each([
    ['a leg of somebody else', here(), D, {}, true],
    ['several choices', here(), D, { n: 2 }, false],
    ['several prompts', here(), D, { prompt: ['a', 'b'] }, false],
    ['everything without a decode instance', here(), NONE, {}, false],
    ['everything on a pure coordinator', elsewhere, D, {}, false],
  ])('declines %s', (_what, site, decoders, body, isLeg) => {
    const manager = new PrefillLocalDecodeRemoteManager(asSplit(new NotedSplit()), site, decoders);
    expect(decided(manager, body, isLeg)).toBe(false);
  });
});

describe('decode-local-prefill-remote', () => {
  it('runs P in the pool and D here, and answers here when no P can', async () => {
    const split = new NotedSplit();
    const manager = new DecodeLocalPrefillRemoteManager(asSplit(split), here(), P);
    const request = inferenceRequest('completions', {});
    expect(manager.dispatch(request, local)).toBeDefined();
    expect(await held(split.sites?.decode.pick(request) ?? NEVER)).toEqual({ endpoint: undefined, run: local });
    expect(split.sites).toMatchObject({ prefill: P, withoutPrefill: local });
    expect(split.sites).not.toHaveProperty('withoutDecode');
  });

  it.each([
    ['a leg of somebody else', here(), P, {}, true],
    ['several choices', here(), P, { n: 2 }, false],
    ['everything without a prefill instance', here(), NONE, {}, false],
    ['everything on a pure coordinator', elsewhere, P, {}, false],
  ])('declines %s', (_what, site, prefillers, body, isLeg) => {
    const manager = new DecodeLocalPrefillRemoteManager(asSplit(new NotedSplit()), site, prefillers);
    expect(decided(manager, body, isLeg)).toBe(false);
  });
});

describe('prefill-remote-decode-remote', () => {
  it('runs both legs in the pools, with nothing to fall back on', () => {
    const split = new NotedSplit();
    expect(decided(new PrefillRemoteDecodeRemoteManager(asSplit(split), P, D))).toBe(true);
    expect(split.sites).toEqual({ prefill: P, decode: D });
  });

  it.each([
    ['a leg of somebody else', P, D, {}, true],
    ['several choices', P, D, { n: 2 }, false],
    ['a request for no token', P, D, { max_tokens: 0, echo: true }, false],
    ['everything without a prefill instance', NONE, D, {}, false],
    ['everything without a decode instance', P, NONE, {}, false],
  ])('declines %s', (_what, prefillers, decoders, body, isLeg) => {
    const manager = new PrefillRemoteDecodeRemoteManager(asSplit(new NotedSplit()), prefillers, decoders);
    expect(decided(manager, body, isLeg)).toBe(false);
  });
});

describe('remote', () => {
  it('runs the whole on a decode instance, as the client sent it', () => {
    const split = new NotedSplit();
    expect(decided(new RemoteManager(asSplit(split), elsewhere, D), { n: 2 })).toBe(true);
    expect(split.wholeOn).toBe(D);
    expect(split.sites).toBeUndefined();
  });

  it.each([
    ['a leg of somebody else', elsewhere, D, true],
    ['what this instance can answer', here(), D, false],
    ['everything without a decode instance', elsewhere, NONE, false],
  ])('declines %s', (_what, site, decoders, isLeg) => {
    expect(decided(new RemoteManager(asSplit(new NotedSplit()), site, decoders), {}, isLeg)).toBe(false);
  });
});

describe('local', () => {
  it('takes whatever is no leg, and runs it here as it is', async () => {
    const manager = new LocalManager(here());
    const request = inferenceRequest('completions', { n: 4 });
    const ran: InferenceRequest[] = [];
    await firstValueFrom(manager.dispatch(request, (leg) => (ran.push(leg), of(jsonPart({})))) ?? NEVER);
    expect(ran).toEqual([request]);
    expect(decided(manager, {}, true)).toBe(false);
    expect(decided(new LocalManager(elsewhere))).toBe(false);
  });
});

it('are asked in this order', async () => {
  const module = await Test.createTestingModule({
    imports: [CoordinationModule.forRoot({ connector: 'nixl' })],
  }).compile();
  await module.init();
  expect(module.get(ManagerRegistry).table.entries.map(({ name }) => name)).toEqual([
    'prefill-local-decode-remote',
    'decode-local-prefill-remote',
    'prefill-remote-decode-remote',
    'local',
    'remote',
  ]);
  expect([module.get<RemotePool>(PREFILL_POOL).isEmpty, module.get<RemotePool>(DECODE_POOL).isEmpty]).toEqual([
    true,
    true,
  ]);
  await module.close();
});
