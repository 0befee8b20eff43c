import { describe, expect, it } from '@jest/globals';
import { accompanyingHeaders, readableHeaders } from './request-headers.js';

describe('accompanyingHeaders', () => {
  it('takes tracing, and nothing else', () => {
    const headers = {
      traceparent: 't',
      tracestate: 's',
      baggage: 'b',
      cookie: 'c',
      authorization: 'a',
      'x-api-key': 'k',
    };
    expect(accompanyingHeaders(headers)).toEqual({ traceparent: 't', tracestate: 's', baggage: 'b' });
  });

  it.each([
    ['traceparent', 1_024],
    ['tracestate', 1_024],
    ['baggage', 8_192],
  ])('bounds %s at %d characters', (name, longest) => {
    expect(accompanyingHeaders({ [name]: 'x'.repeat(longest) })).toHaveProperty(name);
    expect(accompanyingHeaders({ [name]: 'x'.repeat(longest + 1) })).toEqual({});
  });

  it.each(['traceparent', 'keep-alive, TraceParent', 'close ,traceparent\t,x'])(
    'leaves out what Connection names: %s',
    (connection) => {
      expect(accompanyingHeaders({ connection, traceparent: 't', baggage: 'b' })).toEqual({ baggage: 'b' });
    },
  );

  it.each(['a\r\nx: y', 'a\0', '\u00e9', 'a\u007f'])('leaves out what no header may hold: %j', (baggage) => {
    expect(accompanyingHeaders({ baggage })).toEqual({});
  });
});

it('policies see no credentials', () => {
  const secrets = [
    'authorization',
    'proxy-authorization',
    'cookie',
    'set-cookie',
    'x-api-key',
    'api-key',
    'x-auth-token',
  ];
  const headers = Object.fromEntries(secrets.map((name) => [name, 'secret']));
  expect(readableHeaders({ ...headers, 'x-own': '1' })).toEqual({ 'x-own': '1' });
});
