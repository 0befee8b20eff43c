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
});
