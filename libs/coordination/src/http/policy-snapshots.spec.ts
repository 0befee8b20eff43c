import { jsonPart, type Caller } from '@baton/inference';
import { describe, expect, it, jest } from '@jest/globals';
import { concat, EMPTY, NEVER, of, Subject, throwError, type Observable } from 'rxjs';
import type { DisaggregatedRequestManager } from '../managers/disaggregated-request-manager.js';
import { run, script, type Running } from './story-application.spec-support.js';
import { DONE, event, parsed, post, STORY, STREAM, until } from './story-client.spec-support.js';

const PEER: Caller = { trust: 'peer', label: 'gateway' };
const onFault = jest.fn<(error: Error) => void>();

/** A manager of a plugin before all others, with whatever it answers. */
function plug(
  { managers }: Running,
  name: string,
  answer: () => Observable<unknown>,
  firstPartTimeoutMs = 5_000,
): void {
  const manager = { dispatch: answer } as DisaggregatedRequestManager;
  const containment = { firstPartTimeoutMs, isOff: false, onFault };
  managers.swap({ remove: [], add: [{ manager, name, priority: -1, origin: 'acme@1.0.0', containment }] });
}

describe('the snapshot of a request', () => {
  it('is named beside who answered', async () => {
    const running = await run();
    script.plan = () => of(jsonPart({ by: 'manager' }));
    const before = await post(running, STORY);
    expect(before.headers['x-baton-policy-version']).toBe(running.managers.table.version);
    running.managers.register({ dispatch: () => undefined }, { name: 'another' });
    const after = await post(running, STORY);
    expect(after.headers['x-baton-policy-version']).toBe(running.managers.table.version);
    expect(after.headers['x-baton-policy-version']).not.toBe(before.headers['x-baton-policy-version']);
  });

  it('is named when the handler answers, and when a manager refuses', async () => {
    const running = await run();
    expect((await post(running, STORY)).headers['x-baton-policy-version']).toBe(running.managers.table.version);
    script.plan = () => {
      throw new TypeError('broken');
    };
    expect((await post(running, STORY)).headers['x-baton-policy-version']).toBe(running.managers.table.version);
  });

  it('is that of the moment in which its managers are asked: one unloaded during the check is not asked', async () => {
    const running = await run();
    const asked = jest.fn(() => of(jsonPart({ by: 'closed' })));
    plug(running, 'plugged', asked);
    const check = new Subject<void>();
    const isChecking = jest.fn();
    script.check = () => {
      isChecking();
      return new Promise((resolve) => check.subscribe({ complete: resolve }));
    };
    const answer = post(running, STORY);
    await until(() => isChecking.mock.calls.length > 0);
    running.managers.swap({ remove: ['plugged'], add: [] });
    check.complete();
    expect((await answer).headers).toMatchObject({
      'x-baton-manager': 'local',
      'x-baton-policy-version': running.managers.table.version,
    });
    expect(asked).not.toHaveBeenCalled();
  });

  it('has no manager that was chosen and unloaded during the check: that is a 400, and nobody is asked', async () => {
    const running = await run();
    script.caller = PEER;
    plug(running, 'plugged', () => of(jsonPart({})));
    const asked = jest.fn(() => undefined);
    script.plan = asked;
    script.check = async () => void running.managers.swap({ remove: ['plugged'], add: [] });
    const answer = await post(running, STORY, { headers: { 'x-baton-manager': 'plugged' } });
    expect(answer.status).toBe(400);
    expect(parsed(answer)).toMatchObject({ error: { code: 'unknown_manager' } });
    expect(asked).not.toHaveBeenCalled();
  });
});

describe('a manager of a plugin that has a fault', () => {
  it.each<[string, () => Observable<unknown>]>([
    [
      'throws',
      () => {
        throw new Error('broken');
      },
    ],
    ['fails', () => throwError(() => new Error('broken'))],
    ['answers with nothing', () => EMPTY],
    ['emits garbage', () => concat(of('garbage'), NEVER)],
    ['stays silent', () => NEVER],
  ])('and %s loses the request to the next, which the header names', async (_what, answer) => {
    const running = await run();
    plug(running, 'plugged', answer, 20);
    script.plan = () => of(jsonPart({ by: 'manager' }));
    const whole = await post(running, STORY);
    expect([whole.status, parsed(whole)]).toEqual([200, { by: 'manager' }]);
    expect(whole.headers['x-baton-manager']).toBe('scripted');
    script.plan = () => of(event(1), DONE);
    const streamed = await post(running, STREAM);
    expect([streamed.status, streamed.text]).toEqual([200, 'data: {"n":1}\n\ndata: [DONE]\n\n']);
    expect(streamed.headers['x-baton-manager']).toBe('scripted');
  });

  it('leaves the request to the handler when nobody else takes it', async () => {
    const running = await run();
    plug(running, 'plugged', () => EMPTY);
    script.handler = (leg) => ({ leg: leg.body });
    for (const managers of ['local', 'scripted'] as const) running.managers.swap({ remove: [managers], add: [] });
    const answer = await post(running, STORY);
    expect([answer.status, parsed(answer)]).toEqual([200, { leg: STORY }]);
    expect(answer.headers['x-baton-manager']).toBe('local');
    expect(running.inFlight.count).toBe(0);
  });

  it('in the middle of its answer gives the client the error event', async () => {
    const running = await run();
    plug(running, 'plugged', () =>
      concat(
        of(event(1)),
        throwError(() => new Error('secret')),
      ),
    );
    const answer = await post(running, STREAM);
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('internal_error');
    expect(answer.text).not.toContain('secret');
    expect(answer.headers['x-baton-manager']).toBe('plugged');
    expect(onFault).toHaveBeenLastCalledWith(expect.objectContaining({ message: 'secret' }));
    expect(script.failures).toHaveLength(1);
  });
});
