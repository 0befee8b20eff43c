/** A body that must be refused, or taken, without keeping the event loop busy. */
export interface Bomb {
  readonly name: string;
  readonly body: Buffer;
  /** The status that it has to be answered with; undefined: any below 500. */
  readonly status?: number;
}

const PREFIX = '{"model":"sim","prompt":"x","max_tokens":1,"x":';

/** `unit` over and over, about `bytes` long in all. */
function filled(unit: string, bytes: number, [open, close]: readonly [string, string]): Buffer {
  const [head, tail, one] = [Buffer.from(open), Buffer.from(close), Buffer.from(unit)];
  const room = Math.max(0, Math.floor((bytes - head.length - tail.length) / one.length)) * one.length;
  return Buffer.concat([head, Buffer.alloc(room, one), tail]);
}

function distinct(make: (index: number) => string, bytes: number, [open, close]: readonly [string, string]): Buffer {
  const parts = [open];
  let length = open.length + close.length;
  for (let index = 0; ; index += 1) {
    const part = make(index);
    length += part.length;
    if (length > bytes) return Buffer.from(`${parts.join('')}${close}`);
    parts.push(part);
  }
}

const inString = ['{"model":"sim","max_tokens":1,"prompt":"', '"}'] as const;
const inList = [`${PREFIX}[`, '1]}'] as const;
const inObject = [`${PREFIX}{`, '"!":1}}'] as const;
const word = (index: number): string => index.toString(36);

/** Of about `bytes` bytes each. */
export function bombs(bytes: number): Bomb[] {
  return [
    { name: 'one string', body: filled('a', bytes, inString), status: 200 },
    { name: 'escapes', body: filled(String.raw`\n`, bytes, inString), status: 200 },
    { name: 'escaped quotes', body: filled(String.raw`\"`, bytes, inString), status: 200 },
    { name: 'digits in a string', body: filled('1234567890123456789 ', bytes, inString), status: 200 },
    { name: 'brackets in a string', body: filled('[{', bytes, inString), status: 200 },
    { name: 'depth', body: filled('[', bytes, [PREFIX, '']), status: 400 },
    { name: 'depth of objects', body: filled('{"a":', bytes, [PREFIX, '']), status: 400 },
    { name: 'empty objects', body: filled('{},', bytes, inList) },
    { name: 'empty lists', body: filled('[],', bytes, inList) },
    { name: 'small numbers', body: filled('1,', bytes, inList) },
    { name: 'long numbers', body: filled('12345678901234567890,', bytes, inList), status: 400 },
    { name: 'one number', body: filled('1', bytes, [PREFIX, '}']), status: 400 },
    { name: 'short strings', body: distinct((index) => `"${word(index)}",`, bytes, inList) },
    { name: 'keys', body: distinct((index) => `"${word(index)}":1,`, bytes, inObject) },
    { name: 'objects of one key', body: distinct((index) => `{"${word(index)}":1},`, bytes, inList) },
    { name: 'spaces', body: filled(' ', bytes, ['{"model":"sim","prompt":"x"', '}']), status: 200 },
    { name: 'equal keys', body: filled('"a":1,', bytes, inObject) },
    { name: 'prototypes', body: filled('{"__proto__":{"polluted":1}},', bytes, inList), status: 400 },
  ];
}

/** Small bodies that are each wrong in one way. */
export const PITFALLS: readonly Bomb[] = (
  [
    ['1e400', `${PREFIX}1e400}`],
    ['-1e400', `${PREFIX}-1e400}`],
    ['lone surrogate', `${PREFIX}"${String.raw`\ud800`}"}`],
    ['two halves in the wrong order', `${PREFIX}"${String.raw`\udc00\ud800`}"}`],
    ['lone surrogate in a key', `${PREFIX}{"${String.raw`\udfff`}":1}}`],
    ['__proto__', `${PREFIX}{"__proto__":{"polluted":1}}}`],
    ['__proto__ at the top', '{"__proto__":{"polluted":1},"prompt":"x"}'],
    ['__proto__, escaped', `${PREFIX}{"${String.raw`\u005f\u005fproto\u005f\u005f`}":{"polluted":1}}}`],
    ['constructor.prototype', `${PREFIX}{"constructor":{"prototype":{"polluted":1}}}}`],
    ['a constructor that would choose the rules', '{"constructor":{"a":1},"prompt":"x","max_tokens":-1}'],
    ['NUL', `${PREFIX}"\u0000"}`],
    ['NUL behind the end', `${PREFIX}1}\u0000`],
    ['two documents', `${PREFIX}1}{}`],
    ['a comment', `${PREFIX}1/**/}`],
    ['a comma too many', `${PREFIX}[1,]}`],
    ['NaN', `${PREFIX}NaN}`],
    ['nothing', ''],
    ['a list', '[]'],
    ['two marks of byte order', '\uFEFF\uFEFF{"prompt":"x"}'],
  ] as const
).map(([name, text]) => ({ name, body: Buffer.from(text), status: 400 }));

/** Bytes that are no text. */
export const NO_TEXT: readonly Bomb[] = [
  {
    name: 'invalid UTF-8',
    body: Buffer.concat([Buffer.from(`${PREFIX}"`), Buffer.from([0xff]), Buffer.from('"}')]),
    status: 400,
  },
  { name: 'UTF-16', body: Buffer.from(`\uFEFF${PREFIX}1}`, 'utf16le'), status: 400 },
  {
    name: 'a surrogate in UTF-8',
    body: Buffer.concat([Buffer.from(`${PREFIX}"`), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]),
    status: 400,
  },
  {
    name: 'an overlong slash',
    body: Buffer.concat([Buffer.from(`${PREFIX}"`), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')]),
    status: 400,
  },
];
