import { invalidRequest, RawJson, type InferenceApi, type InferenceError, type JsonObject } from '@baton/inference';
import { readMessages } from './chat-messages.js';
import type { ChatTemplate } from './chat-template.js';
import { readTokenIds } from './token-ids.js';
import type { Vocabulary } from '../llama/vocabulary.js';

/** Turns what a request asks into the tokens to evaluate. */
export class PromptReader {
  readonly #vocabulary: Vocabulary;
  readonly #template: ChatTemplate | undefined;
  /** Longer text cannot fit into the context, however it is cut into tokens. */
  readonly #mostTextBytes: number;
  readonly #contextTokens: number;

  constructor(vocabulary: Vocabulary, template: ChatTemplate | undefined, contextTokens: number) {
    this.#vocabulary = vocabulary;
    this.#template = template;
    this.#contextTokens = contextTokens;
    this.#mostTextBytes = contextTokens * vocabulary.longestTokenBytes;
  }

  /** The prompt of a request. @throws InferenceError 400 that names the field at fault. */
  read(api: InferenceApi, body: JsonObject): number[] {
    if (api === 'chat') return this.chat(body['messages']);
    if (api === 'completions') return this.completion(body['prompt']);
    return this.#tokens(body['token_ids'], 'token_ids');
  }

  /** `prompt`: a string, token ids, or a list of exactly one of these. */
  completion(prompt: unknown): number[] {
    if (typeof prompt === 'string') return this.#some(this.text(prompt), 'prompt');
    if (prompt instanceof RawJson) return this.#tokens(prompt, 'prompt');
    if (!Array.isArray(prompt)) throw invalidRequest('prompt must be a string or an array of token ids.', 'prompt');
    const [first] = prompt as readonly unknown[];
    if (typeof first === 'string' || Array.isArray(first)) {
      if (prompt.length > 1) throw invalidRequest('Only one prompt per request is supported.', 'prompt');
      return this.completion(first);
    }
    return this.#tokens(prompt, 'prompt');
  }

  /** `messages`, through the model's own chat template. */
  chat(value: unknown, addGenerationPrompt = true): number[] {
    // Each message takes a token at least.
    this.#refuseTooMany(value, 'messages');
    const messages = readMessages(value);
    this.#refuseTooLong(
      messages.reduce((length, { content }) => length + content.length, 0),
      'messages',
    );
    if (this.#template === undefined) {
      throw invalidRequest('This model has no chat template; use /v1/completions.', 'messages', 'no_chat_template');
    }
    const tokens: number[] = [];
    for (const { kind, text } of this.#template.render(messages, addGenerationPrompt)) {
      const piece =
        kind === 'markup' ? this.#vocabulary.tokenizeMarkup(text) : this.#vocabulary.tokenizeText(text, tokens.at(-1));
      for (const token of piece) tokens.push(token);
    }
    const { begin } = this.#vocabulary;
    if (begin !== undefined && tokens[0] !== begin) tokens.unshift(begin);
    return tokens;
  }

  /** Token ids as they came. @param param the field's name in errors. */
  ids(value: unknown, param: string): number[] {
    this.#refuseTooMany(value, param);
    return readTokenIds(value instanceof RawJson ? value.toArray() : value, param, this.#vocabulary.size);
  }

  /** A text as a completion reads it; empty stays empty. @param addBegin whether the model's first token goes in front. */
  text(text: string, addBegin = true): number[] {
    if (text === '') return [];
    this.#refuseTooLong(text.length, 'prompt');
    const tokens = this.#vocabulary.tokenizeText(text);
    const { begin } = this.#vocabulary;
    return addBegin && begin !== undefined ? [begin, ...tokens] : tokens;
  }

  #some(tokens: number[], param: string): number[] {
    if (tokens.length === 0) throw invalidRequest(`${param} must not be empty.`, param);
    return tokens;
  }

  #tokens(value: unknown, param: string): number[] {
    return this.#some(this.ids(value, param), param);
  }

  /** @param length UTF-16 units, of which no text has more than bytes. */
  #refuseTooLong(length: number, param: string): void {
    if (length <= this.#mostTextBytes) return;
    throw tooLong(`${param} has ${length} characters, which is more than the context holds.`, param);
  }

  #refuseTooMany(items: unknown, param: string): void {
    const isList = Array.isArray(items) || items instanceof RawJson;
    if (!isList || items.length <= this.#contextTokens) return;
    throw tooLong(`${param} has ${items.length} items; the context holds ${this.#contextTokens} tokens.`, param);
  }
}

/** Refusals that come before any work on a text: a prompt of many megabytes must not block the event loop. */
function tooLong(message: string, param: string): InferenceError {
  return invalidRequest(message, param, 'context_length_exceeded');
}
