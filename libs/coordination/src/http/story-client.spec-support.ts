import { bytesPart, SSE_DONE, sseEvent, type ResponsePart } from '@baton/inference';
import { once } from 'node:events';
import { request as httpRequest, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { Running } from './story-application.spec-support.js';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Call {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly raw?: string;
}

/** Sends a request; its answer is not waited for. */
export function send(
  { port }: Running,
  body: unknown,
  { path = '/story', method = 'POST', headers = {}, raw }: Call = {},
): ClientRequest {
  const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const call = httpRequest({
    ...{ port, path, method, host: '127.0.0.1', agent: false },
    headers: { ...(text === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
  });
  call.on('error', () => undefined); // a connection that a test resets
  call.end(text);
  return call;
}

/** Waits for the head of an answer. */
export async function headOf(call: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  return response;
}

/** Sends a request and reads its whole answer. */
export async function post(running: Running, body: unknown, options?: Call): Promise<Answer> {
  const response = await headOf(send(running, body, options));
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString() };
}

export const parsed = ({ text }: Answer): unknown => JSON.parse(text);

/** Waits for what comes over a socket; bounded, so that a failure is told rather than waited for. */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 4_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`It did not come about: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

export const event = (n: number): ResponsePart => bytesPart(sseEvent({ n }));
export const DONE = bytesPart(SSE_DONE);
export const STORY = { prompt: 'x' };
export const STREAM = { prompt: 'x', stream: true };
