import { request, type IncomingMessage } from 'node:http';
import { dataOf } from '../../misbehaviour/support/client.js';
import type { Question } from './question.js';

/**
 * What a client got. `right`: complete and right; `error`: an HTTP error; `error_event`: a right beginning, then one error
 * event and the end mark. Everything else must not be.
 */
export type Verdict = 'right' | 'error' | 'error_event' | 'silent' | 'wrong' | 'unclear' | 'hung';

/** A verdict, and why. */
export interface Judged {
  readonly verdict: Verdict;
  readonly why: string;
}

export const IS_FINE: ReadonlySet<Verdict> = new Set<Verdict>(['right', 'error', 'error_event']);

const HANGS_AFTER_MS = 30_000;

/** Asks a question and judges the answer. */
export async function ask(url: string, question: Question, headers: Record<string, string> = {}): Promise<Judged> {
  const { status, text, isWhole, isStream } = await read(url + question.flow.path, question.body, headers);
  if (status === 0) return { verdict: isWhole === 'hung' ? 'hung' : 'silent', why: `no answer: ${text}` };
  if (status >= 400) return judgedError(status, text);
  if (isWhole === 'hung') return { verdict: 'hung', why: text };
  return isStream ? judgedStream(question, text, isWhole) : judgedWhole(question, text, isWhole);
}

interface Read {
  readonly status: number;
  readonly text: string;
  readonly isWhole: boolean | 'hung';
  readonly isStream: boolean;
}

function read(url: string, body: unknown, headers: Record<string, string>): Promise<Read> {
  return new Promise((resolve) => {
    let status = 0;
    let isStream = false;
    const pieces: Buffer[] = [];
    const settle = (isWhole: boolean | 'hung', why = ''): void => {
      clearTimeout(bound);
      resolve({ status, text: pieces.length > 0 ? Buffer.concat(pieces).toString('utf8') : why, isWhole, isStream });
    };
    const call = request(
      url,
      { method: 'POST', agent: false, headers: { 'content-type': 'application/json', ...headers } },
      (response: IncomingMessage) => {
        status = response.statusCode ?? 0;
        isStream = response.headers['content-type']?.startsWith('text/event-stream') === true;
        response.on('data', (bytes: Buffer) => pieces.push(bytes));
        response.on('close', () => settle(response.complete));
        response.on('error', () => undefined);
      },
    );
    const bound = setTimeout(() => {
      settle('hung');
      call.destroy();
    }, HANGS_AFTER_MS);
    call.on('error', (error) => settle(false, error.message));
    call.end(JSON.stringify(body));
  });
}

function judgedError(status: number, text: string): Judged {
  const error = parsed(text)?.['error'];
  const isError = typeof error === 'object' && error !== null && 'code' in error;
  return isError
    ? { verdict: 'error', why: `${status} ${String(error.code)}` }
    : { verdict: 'unclear', why: `${status} without an error: ${text.slice(0, 200)}` };
}

function judgedWhole({ flow, right, finish }: Question, text: string, isWhole: boolean): Judged {
  if (!isWhole) return { verdict: 'silent', why: `the body was cut after ${text.length} bytes` };
  const choices = choicesOf(parsed(text));
  if (choices.length !== right.length) return { verdict: 'unclear', why: `not an answer: ${text.slice(0, 200)}` };
  for (const [index, choice] of choices.entries()) {
    const said = flow.said([choice]);
    if (said !== right[index]) return { verdict: 'wrong', why: `"${said}" instead of "${right[index]}"` };
  }
  if (choices[0]?.['finish_reason'] !== finish) {
    return { verdict: 'wrong', why: `finish reason ${String(choices[0]?.['finish_reason'])} instead of ${finish}` };
  }
  return { verdict: 'right', why: '' };
}

function judgedStream({ flow, right, finish }: Question, text: string, isWhole: boolean): Judged {
  const data = dataOf(text);
  // Events that nobody reads are passed on as they came, also what is no JSON: what they lack is missing in the end.
  const events = data.map(parsed).filter((event) => event !== undefined);
  const errors = events.filter((event) => event['error'] !== undefined);
  const choices = events.flatMap(choicesOf);
  const said = right.map((_, index) => flow.said(choices.filter((choice) => (choice['index'] ?? 0) === index)));
  const begins = right.every((whole, index) => isBeginning(said[index] ?? '', whole));
  if (!begins) return { verdict: 'wrong', why: `"${said.join('|')}" instead of "${right.join('|')}"` };
  const dones = data.filter((each) => each === '[DONE]').length;
  if (!isWhole || dones === 0) return { verdict: 'silent', why: `ended without an end mark: ${text.slice(-200)}` };
  if (dones > 1 || data.at(-1) !== '[DONE]') return { verdict: 'unclear', why: `${dones} end marks` };
  if (errors.length > 1) return { verdict: 'unclear', why: `${errors.length} error events` };
  if (errors.length === 1) {
    return events.at(-1) === errors[0]
      ? { verdict: 'error_event', why: JSON.stringify(errors[0]).slice(0, 200) }
      : { verdict: 'unclear', why: 'an error event in the middle' };
  }
  const finishes = choices.filter((choice) => (choice['finish_reason'] ?? null) !== null);
  const isRight = right.every((whole, index) => said[index] === whole);
  if (!isRight) return { verdict: 'silent', why: `"${said.join('|')}" is all of "${right.join('|')}"` };
  if (finishes.length !== right.length) return { verdict: 'wrong', why: `${finishes.length} finish reasons` };
  if (finishes[0]?.['finish_reason'] !== finish) {
    return { verdict: 'wrong', why: `finish reason ${String(finishes[0]?.['finish_reason'])} instead of ${finish}` };
  }
  return { verdict: 'right', why: '' };
}

/** Ids are joined by blanks, so that half a number is no beginning. */
const isBeginning = (said: string, whole: string): boolean =>
  whole.startsWith(said) && (!/\d$/.test(said) || said.length === whole.length || whole[said.length] === ' ');

type Json = Record<string, unknown>;

function choicesOf(value: Json | undefined): readonly Json[] {
  const choices = value?.['choices'];
  return Array.isArray(choices) ? (choices as Json[]) : [];
}

function parsed(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}
