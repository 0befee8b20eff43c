import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

/** What the upstream was asked. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

/** How it answers. */
export type Behaviour = (asked: Asked, response: ServerResponse) => void | Promise<void>;

/** An engine server that answers as a test says; well, unless it says anything. */
export class HostileUpstream {
  /** For the requests that come from now on. Set back with {@link behaveWell}. */
  behave: Behaviour = wellBehaved;
  /** The inference requests that came. */
  inferences = 0;

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(): Promise<HostileUpstream> {
    const server = createServer({ keepAliveTimeout: 60_000 });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('It listens on no port.');
    const upstream = new HostileUpstream(server, `http://127.0.0.1:${address.port}`);
    server.on('request', (request, response) => void upstream.#answer(request, response));
    return upstream;
  }

  behaveWell(): void {
    this.behave = wellBehaved;
  }

  async stop(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const path = request.url ?? '';
    const asked = { method: request.method ?? '', path, body: Buffer.concat(chunks).toString('utf8') };
    if (path === '/health' || path.startsWith('/abort_request')) return void response.end();
    if (path.includes('completions') || path.includes('generate')) this.inferences += 1;
    await this.behave(asked, response);
  }
}

export const GOOD_WORD = 'fox';
const USAGE = { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 };
const HANDOFF = {
  do_remote_prefill: true,
  do_remote_decode: false,
  remote_engine_id: 'p',
  remote_request_id: 'r',
  remote_block_ids: [1],
  remote_host: '127.0.0.1',
  remote_port: 5_600,
};

/** What {@link HostileUpstream} says when it means well. */
export function wellBehaved({ path, body }: Asked, response: ServerResponse): void {
  if (path === '/v1/models') return sendJson(response, { object: 'list', data: [{ id: 'sim', object: 'model' }] });
  if (path.startsWith('/metrics')) return void response.end('# none\n');
  const asked = JSON.parse(body || '{}') as Record<string, unknown>;
  if (asked['stream'] === true) return sendEvents(response, [event(chunkOf(path)), 'data: [DONE]\n\n']);
  sendJson(response, { ...answerOf(path), ...(isPrefill(asked) ? { kv_transfer_params: HANDOFF } : {}) });
}

export function answerOf(path: string): Record<string, unknown> {
  const finish = { index: 0, finish_reason: 'stop' };
  if (path.includes('generate')) return { request_id: 'x', choices: [{ ...finish, token_ids: [1] }], usage: USAGE };
  const said = path.includes('chat')
    ? { message: { role: 'assistant', content: GOOD_WORD } }
    : { text: GOOD_WORD, logprobs: null };
  return { id: 'x', object: 'x', created: 1, model: 'sim', choices: [{ ...finish, ...said }], usage: USAGE };
}

export function chunkOf(path: string): Record<string, unknown> {
  const { choices, ...rest } = answerOf(path) as { choices: Record<string, unknown>[] };
  const [choice] = choices;
  const { message, ...others } = choice!;
  return { ...rest, choices: [message === undefined ? others : { ...others, delta: message }] };
}

export const event = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`;

export function sendJson(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export function sendEvents(response: ServerResponse, events: readonly (string | Buffer)[]): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const each of events) response.write(each);
  response.end();
}

function isPrefill({ kv_transfer_params: params }: Record<string, unknown>): boolean {
  return typeof params === 'object' && params !== null && 'do_remote_decode' in params && !('remote_host' in params);
}
