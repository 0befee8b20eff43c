import { describe, expect, it } from '@jest/globals';
import { Readable } from 'node:stream';
import type { JsonObject } from '@baton/inference';
import { sseObjects } from './sse-events.js';

async function read(...chunks: string[]): Promise<JsonObject[]> {
  const objects: JsonObject[] = [];
  for await (const object of sseObjects(Readable.from(chunks.map((chunk) => Buffer.from(chunk))))) objects.push(object);
  return objects;
}

describe('sseObjects', () => {
  it('reads events however the bytes are cut', async () => {
    const bytes = 'data: {"a":"ä"}\n\n: comment\n\ndata:{"a":2}\r\n\r\ndata: [DONE]\n\n';
    const whole = [{ a: 'ä' }, { a: 2 }];
    await expect(read(bytes)).resolves.toEqual(whole);
    await expect(read(...bytes)).resolves.toEqual(whole);
  });

  it('ends at the end mark', async () => {
    await expect(read('data: [DONE]\n\ndata: {"a":1}\n\n')).resolves.toEqual([]);
  });

  it('fails with the message of an error event', async () => {
    await expect(read('data: {"error":{"message":"decode is gone"}}\n\n')).rejects.toThrow('decode is gone');
  });

  it('fails when the stream ends without the end mark', async () => {
    await expect(read('data: {"a":1}\n\n')).rejects.toThrow('before it was whole');
  });
});
