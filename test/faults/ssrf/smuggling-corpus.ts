/** A request whose framing could be read in two ways, or that is no request at all. */
export interface Smuggled {
  readonly name: string;
  /** Whether two readers could disagree about its length: then it has to be refused. */
  readonly isAmbiguous: boolean;
  /**
   * @param marker in the body that comes first.
   * @param hidden in a request within that body, which nobody may ever answer.
   */
  bytes(marker: string, hidden: string): string;
}

const HEAD = ['POST /v1/completions HTTP/1.1', 'Host: instance', 'Content-Type: application/json'];
const json = (marker: string): string => JSON.stringify({ prompt: marker, max_tokens: 1 });
const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const chunked = (text: string): string => `${chunk(text)}0\r\n\r\n`;
const whole = (marker: string): string => {
  const body = json(marker);
  return [...HEAD, `Content-Length: ${body.length}`, '', body].join('\r\n');
};

/** Header lines besides the usual; `N` is the length of the first body and `M` that of all that follows the head. */
function framed(name: string, lines: readonly string[], isAmbiguous: boolean, isChunked: boolean): Smuggled {
  return {
    name,
    isAmbiguous,
    bytes: (marker, hidden) => {
      const first = isChunked ? chunked(json(marker)) : json(marker);
      const all = first + whole(hidden);
      const filled = lines.map((line) =>
        line.replaceAll('N', String(first.length)).replaceAll('M', String(all.length)),
      );
      return [...HEAD, ...filled, '', all].join('\r\n');
    },
  };
}

const TE_VARIANTS = [
  ...[
    'xchunked',
    'chunked, identity',
    'identity, chunked',
    'chunked, chunked',
    'chunkedx',
    'gzip',
    'identity',
    'cow, chunked',
  ],
  ...[
    'chunked;q=1',
    '"chunked"',
    'chunked\u000b',
    '\u000bchunked',
    'chunked\0',
    'ch\0unked',
    ',chunked',
    'chunked,',
    '',
  ],
];

const bothLengths: readonly Smuggled[] = [
  framed('CL and TE', ['Content-Length: N', 'Transfer-Encoding: chunked'], true, true),
  framed('TE and CL', ['Transfer-Encoding: chunked', 'Content-Length: M'], true, true),
  framed('CL and TE in other cases', ['cOnTeNt-LeNgTh: N', 'tRANSFER-eNCODING: CHUNKED'], true, true),
  framed('CL of nothing and TE', ['Content-Length: 0', 'Transfer-Encoding: chunked'], true, true),
  ...TE_VARIANTS.map((value) =>
    framed(`CL and TE ${JSON.stringify(value)}`, ['Content-Length: M', `Transfer-Encoding: ${value}`], true, true),
  ),
  ...TE_VARIANTS.map((value) => framed(`TE ${JSON.stringify(value)}`, [`Transfer-Encoding: ${value}`], true, true)),
  framed('two TE', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity', 'Content-Length: M'], true, true),
  framed(
    'two TE the other way',
    ['Transfer-Encoding: identity', 'Transfer-Encoding: chunked', 'Content-Length: M'],
    true,
    true,
  ),
];

const spelledLengths: readonly Smuggled[] = [
  ...[
    ['Content-Length: N', 'Content-Length: M'],
    ['Content-Length: M', 'content-length: N'],
    ['Content-Length: N', 'Content-Length: N'],
    ['Content-Length: N, N'],
    ['Content-Length: N, M'],
    ['Content-Length: +N'],
    ['Content-Length: -N'],
    ['Content-Length: 0xN'],
    ['Content-Length: N N'],
    ['Content-Length: Ne0'],
    ['Content-Length: N.0'],
    ['Content-Length: 18446744073709551616'],
    ['Content-Length: 99999999999999999999'],
    ['Content-Length: ٣'],
    ['Content-Length: '],
    ['Content-Length : N'],
    ['Content-Length\t: N'],
    [' Content-Length: N'],
    ['Content_Length: N', 'Content-Length : M'],
    ['Content-Length: N\0'],
    ['Content-Length\0: N'],
    ['X: y\nContent-Length: M', 'Content-Length: N'],
    ['X: y\rContent-Length: M', 'Content-Length: N'],
    ['Content-Length:\r\n N'],
    ['Content-Length:\r\n\tN'],
    ['Content-Length: N', ' Content-Length: M'],
  ].map((lines) => framed(`the length ${JSON.stringify(lines)}`, lines, true, false)),
];

const spelledEncodings: readonly Smuggled[] = [
  ...[
    ['Transfer-Encoding : chunked', 'Content-Length: M'],
    ['Transfer-Encoding\t: chunked', 'Content-Length: M'],
    ['Transfer-Encoding:\r\n chunked', 'Content-Length: M'],
    ['Transfer-Encoding:\r\n\tchunked', 'Content-Length: M'],
    [' Transfer-Encoding: chunked', 'Content-Length: M'],
    ['X: y\nTransfer-Encoding: chunked', 'Content-Length: M'],
    ['X: y\rTransfer-Encoding: chunked', 'Content-Length: M'],
    ['Transfer-Encoding\0: chunked', 'Content-Length: M'],
    ['Transfer-Encoding', ': chunked', 'Content-Length: M'],
    ['Connection: Transfer-Encoding', 'Transfer-Encoding: chunked', 'Content-Length: M'],
  ].map((lines) => framed(`the encoding ${JSON.stringify(lines)}`, lines, true, true)),
];

const CHUNK_SIZES = [
  '0xN',
  '+N',
  '-N',
  'N N',
  'N\0',
  'g',
  '',
  ' N',
  'FFFFFFFFFFFFFFFFF',
  '10000000000000000',
  'N;\n',
  'N;a="\n',
];
const chunks: readonly Smuggled[] = [
  ...CHUNK_SIZES.map((size): Smuggled => ({
    name: `the size of a chunk ${JSON.stringify(size)}`,
    isAmbiguous: true,
    bytes: (marker, hidden) => {
      const body = json(marker);
      const line = size.replaceAll('N', body.length.toString(16));
      return [...HEAD, 'Transfer-Encoding: chunked', '', line, body, '0', '', whole(hidden)].join('\r\n');
    },
  })),
  {
    name: 'a chunk longer than it says',
    isAmbiguous: true,
    bytes: (marker, hidden) =>
      [...HEAD, 'Transfer-Encoding: chunked', '', '5', json(marker), '0', '', whole(hidden)].join('\r\n'),
  },
  {
    name: 'line ends of chunks without CR',
    isAmbiguous: true,
    bytes: (marker, hidden) =>
      `${[...HEAD, 'Transfer-Encoding: chunked', '', ''].join('\r\n')}${json(marker).length.toString(16)}\n${json(marker)}\n0\n\n${whole(hidden)}`,
  },
];

const heads: readonly Smuggled[] = [
  ...[
    ['no CR anywhere', (text: string) => text.replaceAll('\r\n', '\n')],
    ['no LF anywhere', (text: string) => text.replaceAll('\r\n', '\r')],
    ['a method in lower case', (text: string) => text.replace('POST', 'post')],
    ['a tab', (text: string) => text.replace('POST ', 'POST\t')],
    ['another version', (text: string) => text.replace('HTTP/1.1', 'HTTP/1.9')],
    ['no version', (text: string) => text.replace(' HTTP/1.1', '')],
    ['version 2', (text: string) => text.replace('HTTP/1.1', 'HTTP/2.0')],
    ['a second request line', (text: string) => text.replace('HTTP/1.1', 'HTTP/1.1\r\nGET /metrics HTTP/1.1')],
    ['a NUL in the path', (text: string) => text.replace('/v1', '/v1\0')],
    ['a line end in the path', (text: string) => text.replace('/completions', '/completions\nX: y')],
    ['a header without a colon', (text: string) => text.replace('Host:', 'Nothing\r\nHost:')],
    ['a header without a name', (text: string) => text.replace('Host:', ': y\r\nHost:')],
    ['a folded header', (text: string) => text.replace('Host: instance', 'Host: instance\r\n x')],
    ['a header that begins with a space', (text: string) => text.replace('Host:', ' Host:')],
    ['no host', (text: string) => text.replace('Host: instance\r\n', '')],
    ['two hosts', (text: string) => text.replace('Host:', 'Host: other\r\nHost:')],
    ['bytes that are no text', (text: string) => text.replace('Host: instance', 'Host: in\u00ffst\u0001ance')],
  ].map(([name, edit]): Smuggled => {
    const edited = edit as (text: string) => string;
    return {
      name: String(name),
      isAmbiguous: true,
      bytes: (marker, hidden) => edited(whole(marker)) + edited(whole(hidden)),
    };
  }),
];

const nominations: readonly Smuggled[] = [
  ...[
    'x-request-id',
    'content-length',
    'host',
    'content-type',
    'traceparent, baggage',
    'close, x-baton-leg',
    'keep-alive',
  ].map((nominated): Smuggled => ({
    name: `Connection: ${nominated}`,
    isAmbiguous: false,
    bytes: (marker) => {
      const more = [
        `Connection: ${nominated}`,
        'X-Request-Id: client-chose-this',
        nominated.includes('traceparent') ? 'traceparent: nominated' : 'traceparent: passes',
        'TE: trailers',
        'Keep-Alive: 5',
      ];
      return whole(marker).replace('\r\n\r\n', `\r\n${more.join('\r\n')}\r\n\r\n`);
    },
  })),
  ...[
    'Expect: 100-continue',
    'Upgrade: h2c',
    'Upgrade: websocket\r\nConnection: upgrade',
    'Proxy-Connection: keep-alive',
    'Trailer: x',
  ].map((line): Smuggled => ({
    name: line,
    isAmbiguous: false,
    bytes: (marker) => whole(marker).replace('\r\n\r\n', `\r\n${line}\r\n\r\n`),
  })),
  {
    name: 'chunks with trailers that are lengths',
    isAmbiguous: false,
    bytes: (marker) =>
      [
        ...HEAD,
        'Transfer-Encoding: chunked',
        '',
        `${chunk(json(marker))}0`,
        'Content-Length: 3',
        'Transfer-Encoding: x',
        '',
        '',
      ].join('\r\n'),
  },
  {
    name: 'a key twice, of which the last counts',
    isAmbiguous: false,
    bytes: (marker, hidden) => {
      const body = `{"prompt":"${hidden}","max_tokens":1,"prompt":"${marker}"}`;
      return [...HEAD, `Content-Length: ${body.length}`, '', body].join('\r\n');
    },
  },
];

/** Framing that proxies have been fooled with. Sources: the CVEs of HTTP/1.1 servers of the field. */
export const SMUGGLED: readonly Smuggled[] = [
  ...bothLengths,
  ...spelledLengths,
  ...spelledEncodings,
  ...chunks,
  ...heads,
  ...nominations,
];
