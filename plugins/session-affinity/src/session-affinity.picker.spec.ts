import { RemoteUnavailableError } from '@baton/remotes';
import { inferenceRequest } from '@baton/inference';
import { assertConforms, conformPicker } from '@baton/testing';
import { describe, expect, it, jest } from '@jest/globals';
import { take } from 'rxjs';
import { endpointsOf, held, homeOf, ofPrompt, ofSession, optionsOf, pickerOf } from './picks.spec-support.js';
import { SessionAffinityPicker } from './session-affinity.picker.js';

describe('SessionAffinityPicker', () => {
  it('keeps what Baton expects of every picker', async () => {
    assertConforms(await conformPicker(SessionAffinityPicker, { host: { pluginOptions: optionsOf() } }));
    assertConforms(
      await conformPicker(SessionAffinityPicker, {
        host: { pluginOptions: optionsOf({ loadFactor: 1 }) },
        request: (index) => ofPrompt([index, 2, 3]),
      }),
    );
  }, 120_000);

  it('fails with no_endpoint when nothing is offered', () => {
    for (const request of [ofSession('a'), ofPrompt('a'), inferenceRequest('chat', {})]) {
      const error = jest.fn<(error: unknown) => void>();
      pickerOf().pick(request, []).subscribe({ error });
      const [thrown] = error.mock.calls[0]!;
      expect(thrown).toBeInstanceOf(RemoteUnavailableError);
      expect(thrown).toMatchObject({ endpoint: 'none', reason: 'no_endpoint', status: 503 });
    }
  });

  it('takes requests without session and prompt to the one that holds least, in turn', () => {
    const endpoints = endpointsOf(3);
    const picker = pickerOf();
    const nothing = inferenceRequest('chat', {});
    const busy = held(picker, ofSession('a'), endpoints);
    const idle = endpoints.filter((endpoint) => endpoint !== busy.endpoint);
    const first = homeOf(picker, nothing, endpoints);
    const second = homeOf(picker, nothing, endpoints);
    expect(new Set([first, second])).toEqual(new Set(idle));
    expect(homeOf(picker, nothing, endpoints)).toBe(first);
  });

  it('passes over an endpoint that holds more than its share, for the next of the session', () => {
    const [one, two] = [endpointsOf(2), endpointsOf(2)];
    const picker = pickerOf();
    const picks = Array.from({ length: 4 }, () => held(picker, ofSession('a'), one).endpoint.name);
    const [home, other] = [picks[0], one.find(({ name }) => name !== picks[0])?.name];
    // Of four, one may hold ceil(1.25 * 4 / 2) = 3; of three, 2.
    expect(picks).toEqual([home, home, other, home]);
    // The same instances in another pool have books of their own.
    expect(held(picker, ofSession('a'), two).endpoint.name).toBe(home);
  });

  it('chooses when it is subscribed to, each time anew', () => {
    const endpoints = endpointsOf(2);
    const picker = pickerOf({ loadFactor: 1 });
    const picking = picker.pick(ofSession('a'), endpoints);
    const names: string[] = [];
    for (let index = 0; index < 2; index += 1) picking.subscribe(({ name }) => names.push(name));
    expect(new Set(names).size).toBe(2);
  });

  it('gives back what is dropped in the moment in which it is given', () => {
    const endpoints = endpointsOf(2);
    const picker = pickerOf({ loadFactor: 1 });
    const home = homeOf(picker, ofSession('a'), endpoints);
    for (let index = 0; index < 10_000; index += 1) {
      picker.pick(ofSession('a'), endpoints).pipe(take(1)).subscribe();
    }
    // One that leaked would fill its share, and send the session elsewhere.
    expect(homeOf(picker, ofSession('a'), endpoints)).toBe(home);
  });

  it('reads the header that it is told, in any spelling', () => {
    const endpoints = endpointsOf(9);
    const picker = pickerOf({ header: 'X-Chat' });
    const of = (chat: string) =>
      inferenceRequest('chat', {}, { clientHeaders: { 'x-chat': chat, 'x-session-id': chat } });
    const homes = new Set(Array.from({ length: 30 }, (_, index) => homeOf(picker, of(`chat-${index}`), endpoints)));
    expect(homes.size).toBeGreaterThan(4);
    const elsewhere = pickerOf({ header: 'x-other' });
    expect(new Set([1, 2, 3].map((turn) => homeOf(elsewhere, of(`chat-${turn}`), endpoints))).size).toBe(3);
  });
});
