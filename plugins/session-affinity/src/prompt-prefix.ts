import { isJsonObject, RawJson, type InferenceRequest } from '@baton/inference';

/** As in the sizes of prompts everywhere in Baton. */
const BYTES_PER_TOKEN_ID = 4;
const COMMA = 0x2c;
/** A token id with its comma and some white space; longer ones only make the prefix shorter. */
const MOST_BYTES_PER_ID = 32;

/**
 * The beginning of the prompt of a request: the same for two requests whose prompts begin alike. Of a chat it is the roles and
 * texts of the messages; of several prompts it is the first one. Undefined when there is nothing to read.
 *
 * Only for comparing: never log it.
 */
export function promptPrefix({ api, body }: InferenceRequest, maxBytes: number): Buffer | undefined {
  const prefix = new Prefix(maxBytes);
  if (api === 'chat') addMessages(prefix, body['messages']);
  else if (api === 'generate') addPrompt(prefix, body['token_ids']);
  else addPrompt(prefix, firstPrompt(body['prompt']));
  return prefix.bytes;
}

/** Text until it is full. */
class Prefix {
  readonly #pieces: Buffer[] = [];

  constructor(private left: number) {}

  get isFull(): boolean {
    return this.left <= 0;
  }

  /** How many token ids it has room for, at least one. */
  get idsLeft(): number {
    return Math.ceil(this.left / BYTES_PER_TOKEN_ID);
  }

  get bytes(): Buffer | undefined {
    return this.#pieces.length === 0 ? undefined : Buffer.concat(this.#pieces);
  }

  text(text: string): void {
    if (this.isFull || text === '') return;
    // A character has at least one byte, so that a long prompt is not encoded for its beginning.
    const piece = Buffer.from(text.slice(0, this.left)).subarray(0, this.left);
    this.#pieces.push(piece);
    this.left -= piece.length;
  }

  ids(ids: readonly string[]): void {
    this.#pieces.push(Buffer.from(ids.join(',')));
    this.left -= ids.length * BYTES_PER_TOKEN_ID;
  }
}

function firstPrompt(prompt: unknown): unknown {
  return Array.isArray(prompt) && typeof prompt[0] !== 'number' ? prompt[0] : prompt;
}

function addPrompt(prefix: Prefix, prompt: unknown): void {
  if (prefix.isFull) return;
  if (typeof prompt === 'string') prefix.text(prompt);
  else if (prompt instanceof RawJson && prompt.length > 0) prefix.ids(rawIds(prompt, prefix.idsLeft));
  else if (Array.isArray(prompt) && prompt.length > 0) prefix.ids(prompt.slice(0, prefix.idsLeft).map(String));
}

/** The first ids of a long prompt, without parsing the rest of it. */
function rawIds({ bytes, length }: RawJson, count: number): readonly string[] {
  const wanted = Math.min(count, length);
  const head = bytes.subarray(1, Math.min(bytes.length - 1, 1 + wanted * MOST_BYTES_PER_ID));
  let end = -1;
  for (let found = 0; found < wanted; found += 1) {
    end = head.indexOf(COMMA, end + 1);
    if (end === -1) break;
  }
  const text = new TextDecoder().decode(end === -1 ? head : head.subarray(0, end));
  return text.split(',').map((id) => id.trim());
}

function addMessages(prefix: Prefix, messages: unknown): void {
  if (!Array.isArray(messages)) return;
  for (const message of messages as unknown[]) {
    if (prefix.isFull) return;
    if (!isJsonObject(message)) continue;
    const { role, content } = message;
    // Set apart, so that a text cannot look like the next message.
    prefix.text(`\0${typeof role === 'string' ? role : ''}\0`);
    addContent(prefix, content);
  }
}

function addContent(prefix: Prefix, content: unknown): void {
  if (typeof content === 'string') prefix.text(content);
  if (!Array.isArray(content)) return;
  for (const part of content as unknown[]) {
    if (isJsonObject(part) && typeof part['text'] === 'string') prefix.text(part['text']);
  }
}
