import { inferenceRequest, legOf } from '@baton/inference';
import { expect, it } from '@jest/globals';
import { outboundHeaders } from './outbound-headers.js';

it('sets what is its own, in place of what the leg brought in any spelling', () => {
  const headers = {
    ...{ traceparent: 't', 'X-Request-Id': 'other', 'X-BATON-HOPS': '0', 'Content-Type': 'text/plain', Accept: '*/*' },
    ...{ 'X-Data-Parallel-Rank': '3', 'x-baton-leg': '0' },
  };
  const leg = legOf(inferenceRequest('chat', { stream: true }, { headers, hops: 2 }), { stream: true });
  expect(outboundHeaders(leg)).toEqual({
    traceparent: 't',
    'x-data-parallel-rank': '3',
    'content-type': 'application/json',
    accept: 'text/event-stream',
    'x-request-id': leg.id,
    'x-baton-leg': '1',
    'x-baton-hops': '3',
  });
});

it('sends neither credentials nor what is of one connection, whoever put them there', () => {
  const names = [
    ...['Authorization', 'cookie', 'X-Api-Key', 'Proxy-Authorization', 'Connection', 'Keep-Alive', 'TE', 'Trailer'],
    ...['Transfer-Encoding', 'Upgrade', 'Expect', 'Host', 'Content-Length', 'proxy-connection'],
  ];
  const headers = Object.fromEntries(names.map((name) => [name, 'x']));
  expect(Object.keys(outboundHeaders(inferenceRequest('chat', {}, { headers }))).sort()).toEqual([
    ...['accept', 'content-type', 'x-baton-hops', 'x-baton-leg', 'x-request-id'],
  ]);
});

it('sends what a manager asks of one leg only (`Prefer`), and not with the others', () => {
  const request = inferenceRequest('chat', {});
  const conditional = { ...legOf(request, {}), headers: { Prefer: 'if-available' } };
  expect(outboundHeaders(conditional)).toMatchObject({ prefer: 'if-available' });
  expect(outboundHeaders(legOf(request, {}))).not.toHaveProperty('prefer');
});
