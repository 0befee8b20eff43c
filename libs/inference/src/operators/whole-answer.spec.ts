import { describe, expect, it } from '@jest/globals';
import { EMPTY, firstValueFrom, of, throwError, type Observable } from 'rxjs';
import { bytesPart, jsonPart, type ResponsePart } from '../response-part.js';
import { wholeAnswer } from './whole-answer.js';

const read = (parts: Observable<ResponsePart>): Promise<unknown> => firstValueFrom(parts.pipe(wholeAnswer()));

describe('wholeAnswer', () => {
  it('takes a JSON part as it is', async () => {
    const body = { id: 'x' };
    expect(await read(of(jsonPart(body)))).toBe(body);
  });

  it('joins bytes, also when a character is cut in two', async () => {
    const bytes = Buffer.from('{"text":"héllo 🦊"}');
    const at = bytes.indexOf(0xf0) + 2;
    expect(await read(of(bytesPart(bytes.subarray(0, at)), bytesPart(bytes.subarray(at))))).toEqual({
      text: 'héllo 🦊',
    });
  });

  it.each([
    ['nothing', EMPTY],
    ['no JSON', of(bytesPart(Buffer.from('data: {}\n\n')))],
    ['an array', of(bytesPart(Buffer.from('[]')))],
    ['null', of(bytesPart(Buffer.from('null')))],
  ])('refuses %s as the fault of the upstream', async (_what, parts) => {
    await expect(read(parts)).rejects.toMatchObject({ status: 502, code: 'bad_upstream_answer' });
  });

  it('passes errors on', async () => {
    await expect(read(throwError(() => new Error('lost')))).rejects.toThrow('lost');
  });
});
