import { describe, expect, it } from '@jest/globals';
import { errors } from 'undici';
import { NotConnectedError } from '../outbound/not-connected.error.js';
import { connectionError, lateError } from './upstream-error.js';

describe('connectionError', () => {
  it.each(['ECONNREFUSED', 'ENOTFOUND', 'ESERVFAIL', 'CERT_HAS_EXPIRED', 'ERR_ADDRESS_NOT_ALLOWED', undefined])(
    'of a connection that there never was (%s): the instance could not be reached',
    (code) => {
      const cause = Object.assign(new Error('no connection'), { code });
      const error = new NotConnectedError(cause);
      expect(error.code).toBe(code);
      expect(connectionError('d:1', error)).toMatchObject({ reason: 'connect', status: 502, endpoint: 'd:1', cause });
    },
  );

  it('of one that was not there in time says which timer it was', () => {
    const error = new NotConnectedError(new errors.ConnectTimeoutError('slow'));
    expect(connectionError('d:1', error)).toMatchObject({ reason: 'connect', status: 502, timer: 'connect' });
  });

  it.each([
    new errors.SocketError('other side closed'),
    Object.assign(new Error('read'), { code: 'ECONNRESET' }),
    // Keep-alive probes of TCP that nobody answers.
    Object.assign(new Error('read'), { code: 'ETIMEDOUT' }),
    undefined,
  ])('of one that ends (%p): it was reset, and something may have been begun', (error) => {
    expect(connectionError('d:1', error)).toMatchObject({ reason: 'reset', status: 502 });
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
