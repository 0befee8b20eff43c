/**
 * What Baton is compared with: the least that can split a request. It sends the prefill leg, reads its answer, sends
 * the decode leg and pipes its bytes, with back-pressure, and leaves when the client leaves. Nothing else: no checks,
 * no errors of its own, no picking, no ledger, no metrics.
 */
import { createServer } from 'node:http';
import { Agent } from 'undici';

const origin = process.argv[2];
const agent = new Agent({ keepAliveTimeout: 4_000, pipelining: 1 });
const headers = { 'content-type': 'application/json' };

const server = createServer((request, response) => {
  split(request, response).catch(() => response.destroy());
});

async function split(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = JSON.parse(Buffer.concat(chunks).toString());
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  const leg = { origin, path: request.url, method: 'POST', headers, signal: gone.signal };

  const prefill = { ...body, stream: false, max_tokens: 1, kv_transfer_params: { do_remote_decode: true } };
  delete prefill.stream_options;
  const answer = await agent.request({ ...leg, body: JSON.stringify(prefill) });
  const { kv_transfer_params } = await answer.body.json();

  await agent.stream(
    { ...leg, body: JSON.stringify({ ...body, kv_transfer_params }) },
    ({ statusCode, headers: head }) => {
      response.writeHead(statusCode, { 'content-type': head['content-type'] });
      return response;
    },
  );
}

server.listen(0, '127.0.0.1', () => {
  process.send({ type: 'ready', url: `http://127.0.0.1:${server.address().port}` });
});
process.once('SIGTERM', () => process.exit());
process.once('disconnect', () => process.exit());
