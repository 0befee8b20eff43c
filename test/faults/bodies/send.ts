import { request, type Agent } from 'undici';

/** What came back. */
export interface Reply {
  readonly status: number;
  readonly text: string;
  /** Of the error that was answered, or of the last error event of a stream. */
  readonly code: unknown;
  readonly isStream: boolean;
}

/** Posts bytes as they are. */
export async function post(
  agent: Agent,
  url: string,
  body: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  const response = await request(url, {
    ...{ method: 'POST', body, dispatcher: agent },
    headers: { 'content-type': 'application/json', ...headers },
  });
  const text = await response.body.text();
  const isStream = String(response.headers['content-type']).startsWith('text/event-stream');
  return { status: response.statusCode, text, code: codeIn(text, isStream), isStream };
}

function codeIn(text: string, isStream: boolean): unknown {
  const errors = isStream
    ? text.split('\n').flatMap((line) => (line.startsWith('data: ') ? [line.slice(6)] : []))
    : [text];
  const codes = errors.map((error) => {
    try {
      return (JSON.parse(error) as { error?: { code?: unknown } }).error?.code;
    } catch {
      return undefined;
    }
  });
  return codes.findLast((code) => code !== undefined);
}
