import type { LlamaModel, Token } from 'node-llama-cpp';

/** The model's tokens. */
export interface Vocabulary {
  /** Number of tokens; ids are 0 to `size` - 1. */
  readonly size: number;
  /** The token that begins a text, when the model wants one. */
  readonly begin: number | undefined;
  /** The text of the special tokens, for chat templates. */
  readonly beginText: string;
  readonly endText: string;
  /** Tokens that end a generation. */
  readonly endIds: readonly number[];
  /** No token stands for more bytes of text than this. */
  readonly longestTokenBytes: number;
  isEnd(token: number): boolean;
  /** Text written by a user: whatever it says, it becomes no special token. */
  tokenizeText(text: string, previous?: number): number[];
  /** Text of the chat template: its marks become special tokens. */
  tokenizeMarkup(text: string): number[];
  /** `previous` tokens tell whether a space goes in front. Special tokens have no text. */
  detokenize(tokens: readonly number[], previous?: readonly number[]): string;
  /** The bytes of one token, also of a special one; undefined when they are no text of their own. */
  tokenBytes(token: number): Buffer | undefined;
  /** The text of one token, also of a special one. */
  tokenText(token: number): string;
}

const BYTE_PIECE = /^<0x([0-9A-Fa-f]{2})>$/;

/** The vocabulary of a loaded model. */
export function vocabularyOf(model: LlamaModel): Vocabulary {
  const { ggml } = model.fileInfo.metadata.tokenizer;
  const pieces: readonly string[] = ggml.tokens;
  const size = pieces.length;
  const endIds = pieces.flatMap((_, id) => (model.isEogToken(id as Token) ? [id] : []));
  const ends = new Set(endIds);
  // SentencePiece models put a space before a text, unless they say otherwise. Within a prompt that space is wrong.
  const addsSpace = ggml.model === 'llama' && ggml.add_space_prefix !== false;
  const detokenize = (tokens: readonly number[], special: boolean, previous: readonly number[] = []): string =>
    model.detokenize(tokens as Token[], special, previous as Token[]);
  const isSpecial = (token: number): boolean => model.isSpecialToken(token as Token);

  return {
    size,
    begin: model.tokens.shouldPrependBosToken ? (model.tokens.bos ?? undefined) : undefined,
    beginText: model.tokens.bosString ?? '',
    endText: model.tokens.eosString ?? '',
    endIds,
    longestTokenBytes: pieces.reduce((longest, piece) => Math.max(longest, Buffer.byteLength(piece)), 1),
    isEnd: (token) => ends.has(token),
    tokenizeText: (text, previous) =>
      addsSpace && previous !== undefined && !isSpecial(previous)
        ? model.tokenize(text, false, 'trimLeadingSpace')
        : model.tokenize(text, false),
    tokenizeMarkup: (text) => model.tokenize(text, true),
    detokenize: (tokens, previous) => detokenize(tokens, false, previous),
    tokenText: (token) => detokenize([token], true),
    tokenBytes: (token) => {
      const byte = BYTE_PIECE.exec(pieces[token] ?? '')?.[1];
      if (byte !== undefined) return Buffer.from(byte, 'hex');
      const text = detokenize([token], true);
      return text.includes('\uFFFD') ? undefined : Buffer.from(text);
    },
  };
}
