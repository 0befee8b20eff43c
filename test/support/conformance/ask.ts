import { randomBytes } from 'node:crypto';
import type { Aggregated } from './aggregated.js';
import type { Case } from './cases.js';
import { differences, type Json } from './json.js';
import { comparable, send, type Reading } from './reading.js';

/** A request that was sent, and its answer. */
export interface Asked {
  readonly request: Case;
  /** Tells which legs are of this request. */
  readonly traceparent: string;
  /** The client's own id of the request. */
  readonly id: string;
  readonly reading: Reading;
}

/** Sends a request as a client does that has credentials and a trace of its own. */
export async function ask(url: string, request: Case): Promise<Asked> {
  const id = `client-${randomBytes(4).toString('hex')}`;
  const traceparent = `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;
  const reading = await send(url, request, {
    'x-request-id': id,
    traceparent,
    authorization: 'Bearer the-client-only',
    cookie: 'session=the-client-only',
    'x-client-own': '1',
  });
  return { request, traceparent, id, reading };
}

/** What an answer is compared with. */
export interface AnswerCheck {
  readonly manager: string;
  /** Runs the same requests whole. */
  readonly whole: Aggregated;
  /** Of both answers, what is compared. Default: all. */
  readonly view?: (answer: Json) => Json;
}

/** Where the client's answer is another than one engine alone would give. */
export async function answerProblems(check: AnswerCheck, { request, id, reading }: Asked): Promise<string[]> {
  const { manager, whole, view = (answer) => answer } = check;
  const { headers } = reading;
  const type = request.stream ? 'text/event-stream' : 'application/json';
  return [
    ...differences(reading.status, 200, 'status'),
    ...differences(headers.get('x-baton-manager'), manager, 'header x-baton-manager'),
    ...differences(headers.get('x-request-id'), id, 'header x-request-id'),
    ...differences(headers.get('content-type')?.split(';')[0], type, 'header content-type'),
    ...differences(view(comparable(reading, request)), view(await whole.answer(request)), 'answer'),
  ];
}
