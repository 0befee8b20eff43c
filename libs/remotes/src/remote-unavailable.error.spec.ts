import { describe, expect, it } from '@jest/globals';
import { RemoteUnavailableError } from './remote-unavailable.error.js';

describe('RemoteUnavailableError', () => {
  it.each([
    ['connect', undefined, true],
    ['busy', 503, true],
    ['busy', 429, false],
    ['busy', undefined, false],
    ['failed', 500, false],
    ['failed', 501, false],
    ['failed', 502, true],
    ['failed', 504, true],
    ['failed', undefined, false],
    ['reset', undefined, false],
    ['timeout', undefined, false],
    ['no_endpoint', undefined, false],
  ] as const)('%s, HTTP %s: retryable is %s', (reason, status, isRetryable) => {
    const error = new RemoteUnavailableError('d:1', reason, undefined, status);
    expect(error.isRetryable).toBe(isRetryable);
    expect(error.upstreamStatus).toBe(status);
  });

  it.each([
    ['connect', undefined, undefined, true],
    ['reset', undefined, undefined, false],
    ['busy', undefined, undefined, false],
    ['busy', 503, 'shutting_down', true],
    ['busy', 503, 'drain_timeout', false],
    ['busy', 503, undefined, false],
    ['busy', 429, 'shutting_down', false],
    ['failed', 502, 'shutting_down', false],
  ] as const)('%s, HTTP %s %s: untouched is %s', (reason, status, code, isUntouched) => {
    const error = new RemoteUnavailableError('d:1', reason, undefined, status, undefined, code);
    expect(error.isUntouched).toBe(isUntouched);
  });
});
