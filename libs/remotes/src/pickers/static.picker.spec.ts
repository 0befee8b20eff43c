import { inferenceRequest } from '@baton/inference';
import { describe, expect, it, jest } from '@jest/globals';
import { parseEndpoint } from '../endpoint.js';
import { StaticEndpointPicker } from './static.picker.js';

const request = inferenceRequest('completions', {});

describe('StaticEndpointPicker', () => {
  it('takes the endpoints in turn and holds each until unsubscribed', () => {
    const endpoints = ['http://a:1', 'http://b:1', 'http://c:1'].map((url) => parseEndpoint(url));
    const picker = new StaticEndpointPicker();
    const names: string[] = [];
    const complete = jest.fn();
    for (let turn = 0; turn < 7; turn++) {
      picker.pick(request, endpoints).subscribe({ next: ({ name }) => names.push(name), complete });
    }
    expect(names).toEqual(['a:1', 'b:1', 'c:1', 'a:1', 'b:1', 'c:1', 'a:1']);
    expect(complete).not.toHaveBeenCalled();
  });

  it('goes on when the list has become shorter', () => {
    const endpoints = ['http://a:1', 'http://b:1', 'http://c:1'].map((url) => parseEndpoint(url));
    const picker = new StaticEndpointPicker();
    const names: string[] = [];
    const pick = (list: typeof endpoints): unknown =>
      picker.pick(request, list).subscribe(({ name }) => names.push(name));
    pick(endpoints);
    pick(endpoints);
    pick(endpoints.slice(0, 1));
    expect(names).toEqual(['a:1', 'b:1', 'a:1']);
  });

  it('keeps the turns of two pools apart, which are asked in alternation', () => {
    const [a, b, c] = ['http://a:1', 'http://b:1', 'http://c:1'].map((url) => parseEndpoint(url));
    if (a === undefined || b === undefined || c === undefined) throw new Error('three endpoints');
    const picker = new StaticEndpointPicker();
    const names: string[] = [];
    for (let turn = 0; turn < 3; turn++) {
      picker.pick(request, [a]).subscribe(({ name }) => names.push(name));
      picker.pick(request, [b, c]).subscribe(({ name }) => names.push(name));
    }
    expect(names).toEqual(['a:1', 'b:1', 'a:1', 'c:1', 'a:1', 'b:1']);
  });

  it('fails when there is none', () => {
    const error = jest.fn();
    new StaticEndpointPicker().pick(request, []).subscribe({ error });
    expect(error).toHaveBeenCalledWith(
      expect.objectContaining({ reason: 'no_endpoint', status: 503, code: 'remote_no_endpoint' }),
    );
  });
});
