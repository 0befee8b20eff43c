import { describe, expect, it } from '@jest/globals';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { assertOneFraming } from './one-framing.js';

function message(raw: readonly string[], socket = new Socket()): IncomingMessage {
  const made = new IncomingMessage(socket);
  made.rawHeaders = [...raw];
  for (let index = 0; index < raw.length; index += 2) made.headers[String(raw[index]).toLowerCase()] = raw[index + 1];
  return made;
}

const REFUSED = expect.objectContaining({ status: 400, code: 'invalid_http' });

describe('assertOneFraming', () => {
  it.each([
    ['a length', ['Host', 'a', 'Content-Length', '5']],
    ['chunks', ['Host', 'a', 'Transfer-Encoding', 'Chunked']],
    ['neither', ['Host', 'a', 'Accept', '*/*', 'Accept', 'x']],
  ])('takes a request with %s', (_what, raw) => {
    expect(() => assertOneFraming(message(raw))).not.toThrow();
  });

  it.each([
    ['two hosts', ['Host', 'a', 'host', 'a']],
    ['two lengths', ['Content-Length', '5', 'content-length', '5']],
    ['two encodings', ['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked']],
    ['an encoding before chunked', ['Transfer-Encoding', 'gzip, chunked']],
    ['an empty encoding before chunked', ['Transfer-Encoding', ',chunked']],
    ['chunked that is not the last', ['Transfer-Encoding', 'chunked, identity']],
    ['an empty encoding', ['Transfer-Encoding', '']],
  ])('refuses %s, and what follows on the connection', (_what, raw) => {
    const socket = new Socket();
    expect(() => assertOneFraming(message(raw, socket))).toThrow(REFUSED);
    expect(() => assertOneFraming(message(['Host', 'a'], socket))).toThrow(REFUSED);
    expect(() => assertOneFraming(message(['Host', 'a']))).not.toThrow();
  });
});
