import { inferenceRequest, jsonPart, type InferenceRequest, type ResponsePart } from '@baton/inference';
import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Test } from '@nestjs/testing';
import { EMPTY, lastValueFrom, of, type Observable } from 'rxjs';
import { CoordinationModule } from '../coordination.module.js';
import type { DisaggregatedRequestManager, LocalExecution } from '../managers/disaggregated-request-manager.js';
import { CoordinationObserver } from '../observer.js';
import { ManagerRegistry } from '../registry/manager-registry.js';
import { Dispatcher } from './dispatcher.js';

class ScriptedManager implements DisaggregatedRequestManager {
  readonly dispatch = jest.fn(
    (_request: InferenceRequest, _local: LocalExecution): Observable<ResponsePart> | undefined => this.answer,
  );
  constructor(private readonly answer: Observable<ResponsePart> | undefined) {}
}

const request = inferenceRequest('completions', { prompt: 'x' });
const local: LocalExecution = () => EMPTY;
let registry: ManagerRegistry;
let dispatcher: Dispatcher;
let dispatched: jest.SpiedFunction<CoordinationObserver['dispatched']>;

async function compose(connector: string | undefined): Promise<void> {
  const module = await Test.createTestingModule({ imports: [CoordinationModule.forRoot({ connector })] }).compile();
  await module.init();
  registry = module.get(ManagerRegistry);
  dispatcher = module.get(Dispatcher);
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

  it('passes on what a manager throws', () => {
    const broken: DisaggregatedRequestManager = {
      dispatch: () => {
        throw new Error('broken policy');
      },
    };
    registry.register(broken, { name: 'broken' });
    expect(() => dispatcher.dispatch(request, local)).toThrow('broken policy');
  });

  it('is off without a connector, and on with one', async () => {
    expect(dispatcher.isActive).toBe(true);
    await compose(undefined);
    expect(dispatcher.isActive).toBe(false);
  });
});
