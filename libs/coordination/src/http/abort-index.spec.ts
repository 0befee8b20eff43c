import { ANONYMOUS, inferenceRequest, InferenceError, legOf, type Caller } from '@baton/inference';
import { describe, expect, it, jest } from '@jest/globals';
import { AbortIndex } from './abort-index.js';

const index = (): AbortIndex => new AbortIndex();
const ERROR = new InferenceError('Aborted.', { status: 499 });

describe('AbortIndex', () => {
  it('finds a request by what the client sent, by what any answer of it carries, and by its key', () => {
    const names = index();
    const request = inferenceRequest('chat', {}, { id: 'c-7f3a' });
    names.add(request);
    const leg = legOf(request, {});
    for (const id of ['c-7f3a', request.key, leg.id]) {
      for (const prefix of ['', 'generate-tokens-', 'chatcmpl-', 'cmpl-']) {
        expect(names.find(prefix + id, ANONYMOUS).size).toBe(1);
      }
    }
    expect(names.find(`chatcmpl-${leg.id}-suffix-of-an-engine`, ANONYMOUS).size).toBe(1);
  });

  it('does not take the beginning of an id for the id, nor more than a key for the key', () => {
    const names = index();
    const request = inferenceRequest('chat', {}, { id: 'c-7f3a' });
    names.add(request);
    const others = ['c-7f3', 'c-7f3a-1', 'other-c-7f3a', request.key.slice(0, 35), `${request.key}0`, '', 'cmpl-'];
    for (const id of others) expect(names.find(id, ANONYMOUS).size).toBe(0);
  });

  it('finds an id that itself begins like an answer’s', () => {
    const names = index();
    names.add(inferenceRequest('chat', {}, { id: 'cmpl-mine' }));
    expect(names.find('cmpl-mine', ANONYMOUS).size).toBe(1);
    expect(names.find('chatcmpl-cmpl-mine', ANONYMOUS).size).toBe(1);
  });

  it('does not mistake the id of one client, chosen so, for the key of another', () => {
    const names = index();
    const victim = inferenceRequest('chat', {}, { id: 'victim' });
    const thief = inferenceRequest('chat', {}, { id: victim.key });
    names.add(thief);
    const stop = jest.fn();
    names.aborted(victim).subscribe(stop);
    names.find(`chatcmpl-${victim.key}-00000000`, ANONYMOUS).forEach((aborted) => aborted.next(ERROR));
    expect(stop).not.toHaveBeenCalled();
    expect(names.find(`chatcmpl-${victim.key}-00000000`, ANONYMOUS).size).toBe(0);
  });

  it('ends the request that it was told of', () => {
    const names = index();
    const [one, other] = [inferenceRequest('chat', {}, { id: 'a' }), inferenceRequest('chat', {}, { id: 'b' })];
    names.add(one);
    names.add(other);
    const [stopOne, stopOther] = [jest.fn(), jest.fn()];
    names.aborted(one).subscribe(stopOne);
    names.aborted(other).subscribe(stopOther);
    names.find('a', ANONYMOUS).forEach((aborted) => aborted.next(ERROR));
    expect(stopOne.mock.calls).toEqual([[ERROR]]);
    expect(stopOther).not.toHaveBeenCalled();
  });

  it('forgets what is over, and only that', () => {
    const names = index();
    const request = inferenceRequest('generate', { request_id: 'own' }, { id: 'same' });
    const forget = names.add(request);
    names.add(inferenceRequest('generate', {}, { id: 'same' }));
    expect(names.find('same', ANONYMOUS).size).toBe(2);
    forget();
    forget();
    expect(names.find('same', ANONYMOUS).size).toBe(1);
    expect(names.find('own', ANONYMOUS).size).toBe(0);
    expect(names.find(request.key, ANONYMOUS).size).toBe(0);
  });

  it('finds a request by the id that a server made for its answer, as long as it is there', () => {
    const names = index();
    const request = inferenceRequest('chat', {}, { id: 'a' });
    names.alsoKnownAs(request, 'chatcmpl-17');
    expect(names.find('chatcmpl-17', ANONYMOUS).size).toBe(0);
    const forget = names.add(request);
    names.alsoKnownAs(request, 'chatcmpl-17');
    expect(names.find('chatcmpl-17', ANONYMOUS)).toEqual(names.find('a', ANONYMOUS));
    expect(names.find('chatcmpl-1', ANONYMOUS).size).toBe(0);
    forget();
    expect(names.find('chatcmpl-17', ANONYMOUS).size).toBe(0);
    names.alsoKnownAs(request, 'chatcmpl-17');
    expect(names.find('chatcmpl-17', ANONYMOUS).size).toBe(0);
  });

  it.each<[string, Caller, number]>([
    ['the same client', { trust: 'client', label: 'ours' }, 1],
    ['another client', { trust: 'client', label: 'theirs' }, 0],
    ['somebody without a key', ANONYMOUS, 0],
    ['a peer', { trust: 'peer', label: 'gateway' }, 1],
    ['a peer of that label', { trust: 'peer', label: 'ours' }, 1],
    ['an operator', { trust: 'admin', label: 'ops' }, 1],
  ])('gives the request of a client to %s: %#', (_who, caller, found) => {
    const names = index();
    const request = inferenceRequest('chat', {}, { id: 'a', caller: { trust: 'client', label: 'ours' } });
    names.add(request);
    names.alsoKnownAs(request, 'chatcmpl-17');
    for (const id of ['a', 'chatcmpl-a', 'chatcmpl-17', request.key]) expect(names.find(id, caller).size).toBe(found);
  });

  it('gives the request of a peer to no client of its label', () => {
    const names = index();
    names.add(inferenceRequest('chat', {}, { id: 'a', caller: { trust: 'peer', label: 'same' } }));
    expect(names.find('a', { trust: 'client', label: 'same' }).size).toBe(0);
  });
});
