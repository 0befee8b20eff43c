import { describe, expect, it } from '@jest/globals';
import { parseEndpoint } from './endpoint.js';

describe('parseEndpoint', () => {
  it.each([
    ['http://10.0.0.7:8200', 'http://10.0.0.7:8200', '10.0.0.7:8200'],
    ['http://10.0.0.7:8200/', 'http://10.0.0.7:8200', '10.0.0.7:8200'],
    ['http://Decode.Example', 'http://decode.example', 'decode.example:80'],
    ['http://decode.example:80', 'http://decode.example', 'decode.example:80'],
    ['https://decode.example', 'https://decode.example', 'decode.example:443'],
    ['http://[::1]:8200', 'http://[::1]:8200', '[::1]:8200'],
  ])('reads %s', (url, origin, name) => {
    expect(parseEndpoint(url)).toEqual({ origin, name });
    expect(parseEndpoint({ url })).toEqual({ origin, name });
  });

  it('keeps a key, and takes an empty one for none', () => {
    expect(parseEndpoint({ url: 'http://d:1', apiKey: 'k' })).toEqual({
      origin: 'http://d:1',
      name: 'd:1',
      apiKey: 'k',
    });
    expect(parseEndpoint({ url: 'http://d:1', apiKey: '' })).toEqual({ origin: 'http://d:1', name: 'd:1' });
  });

  it.each([
    '',
    'decode:8200',
    '10.0.0.7:8200',
    'ftp://d',
    'http://',
    'http://d:99999',
    'unix:/run/x',
    'http://null:null',
  ])('refuses %j, naming it', (url) => {
    expect(() => parseEndpoint(url)).toThrow(`Endpoint "${url}" must be a URL`);
  });

  it.each(['http://d/v1', 'http://d?x=1', 'http://d#x', 'http://user@d', 'http://user:pw@d', 'http://:pw@d'])(
    'refuses more than an origin: %s',
    (url) => {
      expect(() => parseEndpoint(url)).toThrow('must be an origin only');
    },
  );

  it('refuses a dialect that cannot be a name', () => {
    expect(() => parseEndpoint({ url: 'http://d:1', dialect: 'a b' })).toThrow(
      '"a b", which is not the name of a dialect',
    );
    expect(() => parseEndpoint({ url: 'http://d:1', dialect: '__proto__' })).toThrow('not the name of a dialect');
  });

  it('takes a dialect that is not there yet', () => {
    expect(parseEndpoint({ url: 'http://d:1', dialect: 'of-a-plugin' }).dialect).toBe('of-a-plugin');
  });

  it('keeps a KV address and a dialect', () => {
    expect(parseEndpoint({ url: 'http://d:1', kvAddress: '10.0.0.7:8998', dialect: 'sglang' })).toEqual({
      origin: 'http://d:1',
      name: 'd:1',
      kv: { host: '10.0.0.7', ports: [8998] },
      dialect: 'sglang',
    });
    expect(() => parseEndpoint({ url: 'http://d:1', kvAddress: 'nowhere' })).toThrow('KV address "nowhere"');
  });
});
