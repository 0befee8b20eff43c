import {
  inferenceRequest,
  invalidRequest,
  jsonPart,
  type Caller,
  type InferenceRequest,
  type LegTrace,
  type ResponsePart,
} from '@baton/inference';
import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Provider } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { EMPTY, lastValueFrom, of, type Observable } from 'rxjs';
import { CoordinationModule } from '../coordination.module.js';
import type { CoordinationOptions } from '../coordination.options.js';
import type { DisaggregatedRequestManager, LocalExecution } from '../managers/disaggregated-request-manager.js';
import { RequestManager } from '../managers/request-manager.decorator.js';
import { CoordinationObserver } from '../observer.js';
import { ManagerRegistry } from '../registry/manager-registry.js';
import { DispatchCounters } from './dispatch-counters.js';
import { Dispatcher } from './dispatcher.js';
import type { ManagerSettings } from './manager-settings.js';

class ScriptedManager implements DisaggregatedRequestManager {
  readonly dispatch = jest.fn(
    (_request: InferenceRequest, _local: LocalExecution): Observable<ResponsePart> | undefined => this.answer,
  );
  constructor(private readonly answer: Observable<ResponsePart> | undefined) {}
}

const request = inferenceRequest('completions', { prompt: 'x' });
const local: LocalExecution = () => EMPTY;
/** So that there is somebody to decline: `local` takes what nobody else does. */
const NO_LOCAL: ManagerSettings = { name: 'local', enabled: false };
let registry: ManagerRegistry;
let dispatcher: Dispatcher;
let counters: DispatchCounters;
let dispatched: jest.SpiedFunction<CoordinationObserver['dispatched']>;

async function compose(
  connector: string | undefined,
  options: CoordinationOptions = {},
  providers: Provider[] = [],
): Promise<void> {
  const module = await Test.createTestingModule({
    imports: [CoordinationModule.forRoot({ connector, ...options, managers: [NO_LOCAL, ...(options.managers ?? [])] })],
    providers,
  }).compile();
  await module.init();
  registry = module.get(ManagerRegistry);
  dispatcher = module.get(Dispatcher);
  counters = module.get(DispatchCounters);
  dispatched = jest.spyOn(module.get(CoordinationObserver), 'dispatched');
}

describe('Dispatcher', () => {
  beforeEach(() => compose('embedded'));

  it('gives the request to the first manager that takes it; those behind it are not asked', async () => {
    const declines = new ScriptedManager(undefined);
    const takes = new ScriptedManager(of(jsonPart({ by: 'takes' })));
    const behind = new ScriptedManager(of(jsonPart({ by: 'behind' })));
    registry.register(behind, { name: 'behind', priority: 3 });
    registry.register(takes, { name: 'takes', priority: 2 });
    registry.register(declines, { name: 'declines', priority: -1 });

    const answer = dispatcher.dispatch(request, local);
    expect(answer?.manager).toBe('takes');
    expect(await lastValueFrom(answer?.parts ?? EMPTY)).toEqual(jsonPart({ by: 'takes' }));
    expect(declines.dispatch).toHaveBeenCalledWith(request, local);
    expect(behind.dispatch).not.toHaveBeenCalled();
    expect(dispatched.mock.calls).toEqual([['takes']]);
  });

  it('gives it to nobody when all decline', () => {
    registry.register(new ScriptedManager(undefined), { name: 'declines' });
    expect(dispatcher.dispatch(request, local)).toBeUndefined();
    expect(dispatched).not.toHaveBeenCalled();
  });

  it('goes on with the table that the request started with when a manager registers another', () => {
    const late = new ScriptedManager(of(jsonPart({})));
    const registers: DisaggregatedRequestManager = {
      dispatch: () => {
        registry.register(late, { name: 'registered-meanwhile', priority: 100 });
        return undefined;
      },
    };
    registry.register(registers, { name: 'registers' });
    expect(dispatcher.dispatch(request, local)).toBeUndefined();
    expect(late.dispatch).not.toHaveBeenCalled();
  });

  it('passes on what a manager refuses', () => {
    const refuses: DisaggregatedRequestManager = {
      dispatch: () => {
        throw invalidRequest('Not here.', 'prompt');
      },
    };
    registry.register(refuses, { name: 'refuses' });
    expect(() => dispatcher.dispatch(request, local)).toThrow('Not here.');
    expect(dispatched).not.toHaveBeenCalled();
  });

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('broken policy');
      },
    ],
    ['answers with a promise', () => Promise.resolve()],
    ['answers with null', () => null],
  ])('tells of a manager that %s, and asks the next', (_what, dispatch) => {
    const failed = jest.spyOn(CoordinationObserver.prototype, 'failed');
    registry.register({ dispatch } as unknown as DisaggregatedRequestManager, { name: 'broken', priority: 1 });
    registry.register(new ScriptedManager(of(jsonPart({ by: 'next' }))), { name: 'next', priority: 2 });
    expect(dispatcher.dispatch(request, local)?.manager).toBe('next');
    expect(failed.mock.calls).toEqual([[request, expect.objectContaining({ code: 'internal_error' })]]);
    failed.mockRestore();
  });

  it('rehearses a request as it would be dispatched, and leaves nothing of it behind but its trace', () => {
    const failed = jest.spyOn(CoordinationObserver.prototype, 'failed');
    const onFault = jest.fn();
    const broken: DisaggregatedRequestManager = {
      dispatch: () => {
        throw new Error('broken');
      },
    };
    const containment = { firstPartTimeoutMs: 1, isOff: false, onFault };
    registry.swap({ remove: [], add: [{ manager: broken, name: 'broken', priority: -2, containment }] });
    registry.register(new ScriptedManager(of(jsonPart({}))), { name: 'takes', priority: -1 });
    const asked = jest.fn();
    const leg = (): LegTrace => ({ firstPart: () => undefined, ended: () => undefined });
    const traced = { ...request, trace: { asked, considered: () => undefined, leg } };
    expect(dispatcher.rehearse(traced, local)?.manager).toBe('takes');
    expect(asked.mock.calls).toEqual([
      ['broken', 'failed', 'broken'],
      ['takes', 'took'],
    ]);
    expect([failed, onFault, dispatched].flatMap(({ mock }) => mock.calls)).toEqual([]);
    expect(counters.of('takes')).toMatchObject({ asked: 0, took: 0 });
    failed.mockRestore();
  });

  it('is off without a connector, and on with one', async () => {
    expect(dispatcher.isActive).toBe(true);
    await compose(undefined);
    expect(dispatcher.isActive).toBe(false);
  });

  describe('with a condition', () => {
    const takes = new ScriptedManager(of(jsonPart({})));

    it('does not ask a manager whose condition does not hold; the next is asked', async () => {
      const long = new ScriptedManager(of(jsonPart({})));
      const PATIENT: ManagerSettings = { name: 'long', disaggregateWhen: { minPromptBytes: 10 } };
      await composeConditional(long, PATIENT);
      expect(dispatcher.dispatch(inferenceRequest('completions', { prompt: 'short' }), local)?.manager).toBe('takes');
      expect(long.dispatch).not.toHaveBeenCalled();
      expect(dispatcher.dispatch(inferenceRequest('completions', { prompt: 'long enough' }), local)?.manager).toBe(
        'long',
      );
    });

    it('does not look at the prompt when no condition asks for its size', async () => {
      const body = {
        get prompt(): string {
          throw new Error('looked at');
        },
      };
      const generate: ManagerSettings = { name: 'long', disaggregateWhen: { apis: ['generate'], minPromptTokens: 1 } };
      await composeConditional(new ScriptedManager(undefined), generate);
      const unread: InferenceRequest = { ...request, body };
      expect(dispatcher.dispatch(unread, local)?.manager).toBe('takes');
    });

    /** A manager `long` with settings, before one that takes everything. */
    async function composeConditional(long: ScriptedManager, settings: ManagerSettings): Promise<void> {
      @RequestManager({ name: 'long', priority: -2 })
      class LongManager implements DisaggregatedRequestManager {
        readonly dispatch = long.dispatch;
      }
      await compose('embedded', { managers: [settings] }, [LongManager]);
      registry.register(takes, { name: 'takes', priority: -1 });
    }
  });

  describe('when a load balancer chooses the manager', () => {
    const chosen = (name: string, trust: Caller['trust'] = 'peer'): InferenceRequest => {
      const caller = { trust, label: 'gateway' };
      return inferenceRequest('completions', { prompt: 'x' }, { caller, clientHeaders: { 'x-baton-manager': name } });
    };
    const takes = new ScriptedManager(of(jsonPart({})));
    const other = new ScriptedManager(of(jsonPart({})));
    const declines = new ScriptedManager(undefined);

    async function composeThree(): Promise<void> {
      @RequestManager({ name: 'other', priority: -1 })
      class OtherManager implements DisaggregatedRequestManager {
        readonly dispatch = other.dispatch;
      }
      const settings = { name: 'other', disaggregateWhen: { minPromptTokens: 1_000 } };
      await compose('embedded', { managers: [settings] }, [OtherManager]);
      registry.register(takes, { name: 'takes', priority: -3 });
      registry.register(declines, { name: 'declines', priority: -2 });
      for (const { dispatch } of [takes, other, declines]) dispatch.mockClear();
    }

    it('asks that one first, without its condition', async () => {
      await composeThree();
      expect(dispatcher.dispatch(chosen('other'), local)?.manager).toBe('other');
      expect(takes.dispatch).not.toHaveBeenCalled();
    });

    it('asks the others in order when it declines', async () => {
      await composeThree();
      expect(dispatcher.dispatch(chosen('declines'), local)?.manager).toBe('takes');
      expect(declines.dispatch).toHaveBeenCalledTimes(1);
      expect(other.dispatch).not.toHaveBeenCalled();
    });

    it('refuses a name that it does not know, listing those that it does, before any manager is asked', async () => {
      await composeThree();
      const dispatch = (): unknown => dispatcher.dispatch(chosen('best'), local);
      expect(dispatch).toThrow(
        expect.objectContaining({
          status: 400,
          type: 'invalid_request_error',
          code: 'unknown_manager',
          message: expect.stringMatching(/Known: takes, declines, other, /),
        }),
      );
      for (const { dispatch: asked } of [takes, other, declines]) expect(asked).not.toHaveBeenCalled();
    });

    it('does as if nothing was said when a client says so', async () => {
      await composeThree();
      expect(dispatcher.dispatch(chosen('other', 'client'), local)?.manager).toBe('takes');
      expect(dispatcher.dispatch(chosen('best', 'client'), local)?.manager).toBe('takes');
      expect(dispatcher.dispatch(chosen('other', 'admin'), local)?.manager).toBe('other');
    });
  });
});
