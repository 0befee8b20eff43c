/**
 * The vocabulary of the simulated model. A token is a byte, a special token, or one of 4,096 words of the form
 * `" ba'de"`, which no language has. Answers are made of words: a word begins with a space and has a fixed length, so
 * the text of a prompt followed by the text of an answer always tokenizes to the ids of the prompt followed by the ids
 * of the answer.
 */
const CONSONANTS = 'bdfgjklmnprstvwz';
const VOWELS = 'aeio';
const SYLLABLES = [...CONSONANTS].flatMap((consonant) => [...VOWELS].map((vowel) => consonant + vowel));

/** Ids below are bytes. */
export const FIRST_SPECIAL = 256;
const SPECIALS = ['<|im_start|>', '<|im_end|>', '<|eos|>'] as const;
export const MESSAGE_START = FIRST_SPECIAL;
export const MESSAGE_END = FIRST_SPECIAL + 1;
/** Ends an answer; has no text of its own in an answer. */
export const EOS = FIRST_SPECIAL + 2;

/** Ids from here on are words. */
export const FIRST_WORD = 512;
export const WORDS = SYLLABLES.length ** 2;
export const VOCABULARY_SIZE = FIRST_WORD + WORDS;

const WORD_LENGTH = 6;
const syllableOf = new Map(SYLLABLES.map((syllable, index) => [syllable, index]));
const words = SYLLABLES.flatMap((first) => SYLLABLES.map((second) => ` ${first}'${second}`));

export const isWord = (id: number): boolean => id >= FIRST_WORD && id < VOCABULARY_SIZE;

/** The ids of a text; every text has some, and {@link detokenize} gives it back. */
export function tokenize(text: string): number[] {
  const ids: number[] = [];
  let bytesFrom = 0;
  const flush = (to: number): void => {
    if (to > bytesFrom) for (const byte of Buffer.from(text.slice(bytesFrom, to))) ids.push(byte);
  };
  for (let at = 0; at < text.length;) {
    const found = tokenAt(text, at);
    if (found === undefined) {
      at += 1;
      continue;
    }
    flush(at);
    ids.push(found.id);
    at = bytesFrom = at + found.length;
  }
  flush(text.length);
  return ids;
}

/** The text of ids. Unknown ids and broken byte sequences become U+FFFD. */
export function detokenize(ids: readonly number[], options: { readonly skipSpecial?: boolean } = {}): string {
  const texts: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length > 0) texts.push(Buffer.from(bytes).toString('utf8'));
    bytes = [];
  };
  for (const id of ids) {
    if (id < FIRST_SPECIAL) bytes.push(id);
    else {
      flush();
      if (options.skipSpecial !== true || !isSpecial(id)) texts.push(tokenText(id));
    }
  }
  flush();
  return texts.join('');
}

/** The text of one token. */
export function tokenText(id: number): string {
  if (isWord(id)) return words[id - FIRST_WORD] ?? '\uFFFD';
  if (isSpecial(id)) return SPECIALS[id - FIRST_SPECIAL] ?? '\uFFFD';
  return id < FIRST_SPECIAL ? Buffer.from([id]).toString('utf8') : '\uFFFD';
}

const isSpecial = (id: number): boolean => id >= FIRST_SPECIAL && id < FIRST_SPECIAL + SPECIALS.length;

function tokenAt(text: string, at: number): { id: number; length: number } | undefined {
  const first = text[at];
  if (first === ' ') {
    const high = syllableOf.get(text.slice(at + 1, at + 3));
    const low = high === undefined ? undefined : syllableOf.get(text.slice(at + 4, at + WORD_LENGTH));
    if (high === undefined || low === undefined || text[at + 3] !== "'") return undefined;
    return { id: FIRST_WORD + high * SYLLABLES.length + low, length: WORD_LENGTH };
  }
  if (first !== '<') return undefined;
  const special = SPECIALS.findIndex((mark) => text.startsWith(mark, at));
  return special === -1 ? undefined : { id: FIRST_SPECIAL + special, length: (SPECIALS[special] ?? '').length };
}
