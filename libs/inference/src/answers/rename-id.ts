import { identity, map, type MonoTypeOperatorFunction } from 'rxjs';
import { bytesPart, jsonPart, type ResponsePart } from '../response-part.js';
import type { JsonObject } from '../json.js';
import { asBuffer } from './events.js';

/** Where answers have their id. Source: OpenAI API; vLLM `token_in_token_out/protocol.py` for the token endpoint. */
const ID_FIELDS = ['id', 'request_id'];

/**
 * Puts `to` where the answer says `from`: for legs whose id must not reach the client, because it names addresses inside of
 * the deployment. Engines make the answer's id of it (`chatcmpl-...`).
 *
 * @param from holds nothing that JSON escapes. The parts must hold whole events.
 */
export function renameId(from: string, to: string): MonoTypeOperatorFunction<ResponsePart> {
  if (from === '') return identity;
  const [old, fresh] = [Buffer.from(from), Buffer.from(to)];
  return map((part) => {
    if (part.kind === 'json') return renamedBody(part.body, from, to) ?? part;
    const bytes = asBuffer(part.bytes);
    const at = bytes.indexOf(old);
    return at < 0 ? part : bytesPart(replaced(bytes, at, old, fresh));
  });
}

function renamedBody(body: JsonObject, from: string, to: string): ResponsePart | undefined {
  const renamed = ID_FIELDS.flatMap((field) => {
    const id = body[field];
    return typeof id === 'string' && id.includes(from) ? [[field, id.split(from).join(to)]] : [];
  });
  return renamed.length === 0 ? undefined : jsonPart({ ...body, ...(Object.fromEntries(renamed) as JsonObject) });
}

/** @param first where `from` is found first. */
function replaced(bytes: Buffer, first: number, from: Buffer, to: Buffer): Buffer {
  const pieces: Buffer[] = [];
  let start = 0;
  for (let at = first; at >= 0; at = bytes.indexOf(from, start)) {
    pieces.push(bytes.subarray(start, at), to);
    start = at + from.length;
  }
  return Buffer.concat([...pieces, bytes.subarray(start)]);
}
