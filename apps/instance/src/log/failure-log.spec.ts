import { InferenceError, inferenceRequest } from '@baton/inference';
import { RemoteUnavailableError } from '@baton/remotes';
import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { logFailure } from './failure-log.js';

const REQUEST = inferenceRequest('chat', { messages: [{ role: 'user', content: 'secret' }] }, { id: 'mine' });

function logged(error: InferenceError): unknown {
  const lines: string[] = [];
  logFailure(
    pino({ base: undefined, timestamp: false }, { write: (line: string) => void lines.push(line) }),
    REQUEST,
    error,
  );
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0] ?? '');
}

const LINE = { level: 40, requestId: 'mine', caller: 'anonymous', msg: 'A request or a leg of it failed' };

describe('logFailure', () => {
  it('says which remote failed, and how', () => {
    expect(logged(new RemoteUnavailableError('10.0.0.7:8200', 'busy', new Error('secret'), 503))).toEqual({
      ...LINE,
      ...{ code: 'remote_busy', status: 503, endpoint: '10.0.0.7:8200', upstreamStatus: 503 },
    });
    expect(logged(new RemoteUnavailableError('10.0.0.7:8200', 'connect', new Error('secret')))).toEqual({
      ...LINE,
      ...{ code: 'remote_connect', status: 502, endpoint: '10.0.0.7:8200' },
    });
  });

  it('says nothing of what an upstream said', () => {
    const error = (code: string | null) => new InferenceError('secret', { status: 502, code, param: 'secret' });
    expect(logged(error('upstream_aborted'))).toEqual({ ...LINE, code: 'upstream_aborted', status: 502 });
    expect(logged(error(null))).toEqual({ ...LINE, status: 502 });
    expect(logged(error('the secret, which is long'))).toEqual({ ...LINE, status: 502 });
  });
});
