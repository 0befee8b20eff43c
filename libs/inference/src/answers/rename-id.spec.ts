import { describe, expect, it } from '@jest/globals';
import { lastValueFrom, of, toArray } from 'rxjs';
import { bytesPart, jsonPart, type ResponsePart } from '../response-part.js';
import { renameId } from './rename-id.js';

const FROM = '___prefill_addr_10.0.0.7:14579___decode_addr_10.0.0.8:14580_0123456789abcdef0123456789abcdef';
const TO = 'mine-$&-1';

const renamed = (...parts: ResponsePart[]): Promise<ResponsePart[]> =>
  lastValueFrom(of(...parts).pipe(renameId(FROM, TO), toArray()));

const bytesOf = (text: string): ResponsePart => bytesPart(Buffer.from(text));

describe('renameId', () => {
  it('renames every occurrence in bytes, and changes nothing else', async () => {
    const stream = (id: string): string =>
      `data: {"id":"chatcmpl-${id}","text":"漢🦊"}\n\ndata: {"id":"chatcmpl-${id}"}\n\ndata: [DONE]\n\n`;
    expect(await renamed(bytesOf(stream(FROM)), bytesOf(FROM))).toEqual([bytesOf(stream(TO)), bytesOf(TO)]);
    const view = new Uint8Array(Buffer.from(`xx${FROM}yy`)).subarray(1);
    expect(await renamed(bytesPart(view))).toEqual([bytesOf(`x${TO}yy`)]);
  });

  it('renames the ids of a parsed answer, and nothing below', async () => {
    const body = { id: `cmpl-${FROM}-0`, request_id: FROM, choices: [{ text: FROM }], model: FROM, room: 2n ** 62n };
    expect(await renamed(jsonPart(body))).toEqual([jsonPart({ ...body, id: `cmpl-${TO}-0`, request_id: TO })]);
  });

  it('passes on what does not hold it as it is', async () => {
    const parts = [bytesOf('data: {"id":"chatcmpl-1"}\n\n'), jsonPart({ id: 'a', request_id: 7 }), jsonPart({})];
    const passed = await renamed(...parts);
    for (const [index, part] of passed.entries()) expect(part).toBe(parts[index]);
    const [first] = parts;
    expect(await lastValueFrom(of(...parts).pipe(renameId('', TO)))).toBe(parts[2]);
    expect(first).toBe(passed[0]);
  });
});
