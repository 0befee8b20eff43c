import { InferenceError, invalidRequest } from '@baton/inference';
import { RemoteUnavailableError } from '@baton/remotes';
import { describe, expect, it } from '@jest/globals';
import type { StreamEndReason } from '../observer.js';
import { endReason } from './end-reason.js';
import { ClientStalledError } from './response-body.js';

const coded = (status: number, code?: string): InferenceError => new InferenceError('x', { status, code });

describe('endReason', () => {
  it.each<[unknown, StreamEndReason]>([
    [new ClientStalledError('x'), 'client_stalled'],
    [new RemoteUnavailableError('10.0.0.7:8200', 'busy'), 'upstream_error'],
    [new Error('x'), 'server_error'],
    ['thrown text', 'server_error'],
    [undefined, 'server_error'],
    [coded(503, 'shutting_down'), 'drain'],
    [coded(503, 'drain_timeout'), 'drain'],
    [coded(499, 'request_aborted'), 'aborted'],
    [coded(502, 'upstream_error_event'), 'upstream_error_event'],
    [coded(502, 'upstream_aborted'), 'upstream_aborted'],
    [coded(502, 'upstream_incomplete'), 'upstream_incomplete'],
    [coded(502, 'upstream_truncated'), 'upstream_truncated'],
    [coded(502, 'bad_upstream_answer'), 'upstream_error'],
    [coded(504), 'upstream_error'],
    [coded(500), 'server_error'],
    [coded(503, 'overloaded'), 'server_error'],
    [invalidRequest('x', 'prompt'), 'client_error'],
    [coded(429), 'client_error'],
  ])('of %p is %s', (error, reason) => {
    expect(endReason(error)).toBe(reason);
  });
});
