/** The load generator: keeps a number of streams in flight until a number of answers is complete. */
import { Pool } from 'undici';

const ANSWER_TIMEOUT_MS = 30_000;
const PROMPT = 'Tell me the story of the fox who could not sleep, and of the owl who could. '.repeat(14);

/** One turn of the event loop; what a stream receives twice within one had been joined on the way. */
let turn = 0;
let isTurning = false;

/**
 * Drives `url` and checks each answer: its status, its length to the byte and its end mark.
 *
 * @returns how long it took and how many chunks came together with the one before.
 */
export async function drive(url, { streams, answers, tokens, expectedBytes }) {
  const pool = new Pool(url, { connections: streams, pipelining: 1 });
  const body = chatBody(tokens);
  const result = { ms: 0, joined: 0, bytes: 0 };
  let left = answers;
  const stream = async () => {
    while (left > 0) {
      left -= 1;
      const { bytes, joined } = await answer(pool, body);
      if (expectedBytes !== undefined && bytes !== expectedBytes) {
        throw new Error(`An answer of ${url} has ${bytes} bytes instead of ${expectedBytes}.`);
      }
      result.joined += joined;
      result.bytes = bytes;
    }
  };
  const start = performance.now();
  try {
    await Promise.all(Array.from({ length: streams }, stream));
  } finally {
    await pool.destroy();
  }
  result.ms = performance.now() - start;
  return result;
}

function chatBody(tokens) {
  return JSON.stringify({
    model: 'engine-double',
    messages: [
      { role: 'system', content: 'You tell short stories to children.' },
      { role: 'user', content: PROMPT },
    ],
    max_tokens: tokens,
    temperature: 0.7,
    stream: true,
    stream_options: { include_usage: true },
  });
}

function answer(pool, body) {
  return new Promise((resolve, reject) => {
    let status = 0;
    let bytes = 0;
    let joined = 0;
    let lastTurn = -1;
    let last;
    pool.dispatch(
      {
        method: 'POST',
        path: '/v1/chat/completions',
        headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
        body,
        headersTimeout: ANSWER_TIMEOUT_MS,
        bodyTimeout: ANSWER_TIMEOUT_MS,
      },
      {
        onRequestStart() {},
        onResponseStart(_controller, statusCode) {
          status = statusCode;
        },
        onResponseData(_controller, chunk) {
          bytes += chunk.length;
          if (lastTurn === turn) joined += 1;
          lastTurn = turn;
          last = chunk;
          if (!isTurning) setImmediate(nextTurn);
          isTurning = true;
        },
        onResponseEnd() {
          const end = last?.toString('latin1') ?? '';
          if (status === 200 && end.endsWith('data: [DONE]\n\n')) resolve({ bytes, joined });
          else reject(new Error(`An answer failed with HTTP ${status}: ${end.slice(-300)}`));
        },
        onResponseError: (_controller, error) => reject(error),
      },
    );
  });
}

function nextTurn() {
  turn += 1;
  isTurning = false;
}
