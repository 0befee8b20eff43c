import { describe, expect, it } from '@jest/globals';
import { errors } from 'undici';
import { connectionError, lateError } from './upstream-error.js';

describe('connectionError', () => {
  it.each(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'])(
    'of %s: the instance could not be reached',
    (code) => {
      const cause = { code, message: 'made outside of this context' };
      expect(connectionError('d:1', cause)).toMatchObject({ reason: 'connect', status: 502, endpoint: 'd:1', cause });
    },
  );

  it.each([
    [new errors.ConnectTimeoutError('slow'), 'connect', 502],
    [new errors.SocketError('other side closed'), 'reset', 502],
    [Object.assign(new Error('read'), { code: 'ECONNRESET' }), 'reset', 502],
    [undefined, 'reset', 502],
  ])('of %p: %s', (error, reason, status) => {
    expect(connectionError('d:1', error)).toMatchObject({ reason, status });
  });

  it('tells the client nothing of where the instance is', () => {
    expect(JSON.stringify(connectionError('10.0.0.7:8200', new Error('connect 10.0.0.7')).toBody())).not.toContain(
      '10.0.0.7',
    );
  });
});

describe('lateError', () => {
  it.each([
    ['connect', 'remote_connect', 502],
    ['head', 'remote_timeout', 504],
    ['first_token', 'remote_timeout', 504],
    ['between_tokens', 'remote_timeout', 504],
    ['total', 'remote_timeout', 504],
  ] as const)('of %s: %s', (timer, code, status) => {
    expect(lateError('d:1', timer)).toMatchObject({ timer, code, status, endpoint: 'd:1' });
  });

  it('says to the client what was late', () => {
    const messages = (['head', 'first_token', 'between_tokens', 'total'] as const).map(
      (timer) => lateError('d:1', timer).message,
    );
    expect(new Set(messages).size).toBe(4);
  });
});
