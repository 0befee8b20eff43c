/**
 * The negative controls: what is taken out of the product, and the case that has to go red then.
 * `find` is in `file` (built, relative to the workspace) exactly once.
 *
 * @type {readonly { name: string, what: string, only: string, file: string, find: string, replace: string }[]}
 */
export const SABOTAGES = [
  {
    name: 'gap-release',
    what: 'the ledger frees nothing when a client leaves in the gap',
    only: 'R3',
    file: 'libs/coordination/dist/ledger/handoff-ledger.js',
    find: 'this.#free(connector, handoff, handoff.descriptor, means);',
    replace: "this.#settle(handoff, 'unknown');",
  },
  {
    name: 'close-upstream',
    what: 'a call is not closed when nobody wants its answer any more',
    only: 'R5',
    file: 'libs/remotes/dist/http/call.js',
    find: 'controller.abort(new CallCancelled());',
    replace: '',
  },
  {
    name: 'client-gone',
    what: 'nobody notices that the client has gone',
    only: 'R5',
    file: 'libs/coordination/dist/http/client-gone.js',
    find: 'if (!response.writableFinished)',
    replace: 'if (false)',
  },
  {
    name: 'back-pressure',
    what: 'the valve stays open when the client takes no more',
    only: 'R7',
    file: 'libs/coordination/dist/http/response-body.js',
    find: 'this.valve.close();',
    replace: '',
  },
  {
    name: 'stall-timeout',
    what: 'a client that takes nothing is waited for',
    only: 'R7',
    file: 'libs/coordination/dist/http/response-body.js',
    find: 'this.options.stallTimeoutMs);',
    replace: '2 ** 30);',
  },
  {
    name: 'error-event',
    what: 'a stream that broke ends silently',
    only: 'R24',
    file: 'libs/coordination/dist/http/response-body.js',
    find: 'this.push(sseFailure(InferenceError.from(error)));',
    replace: '',
  },
  {
    name: 'leg-ids',
    what: 'the legs of requests with one id have one id',
    only: 'R19',
    file: 'libs/inference/dist/ids.js',
    find: 'return `${key}-${randomUUID().slice(0, 8)}`;',
    replace: "return 'leg-of-somebody';",
  },
  {
    name: 'between-tokens',
    what: 'a stream that hangs is waited for',
    only: 'R24',
    file: 'libs/remotes/dist/http/call.js',
    find: "clock.enter(sink instanceof EventStreamSink ? 'first_token' : 'between_tokens');",
    replace: 'clock.stop();',
  },
  {
    name: 'drain',
    what: 'a shutdown waits for nobody',
    only: 'R30',
    file: 'apps/instance/dist/lifecycle/drain.service.js',
    find: 'await this.inFlight.drain(timeoutMs);',
    replace: '',
  },
  {
    name: 'strip',
    what: 'what a client says of handoffs counts',
    only: 'X1',
    file: 'libs/coordination/dist/http/route-contract.js',
    find: 'const body = clientBody(request.body);',
    replace: 'const body = request.body;',
  },
  {
    name: 'auth',
    what: 'any key is a key',
    only: 'X9',
    file: 'libs/inference/dist/keys/key-ring.js',
    find: 'if (timingSafeEqual(holder.digest, digest))',
    replace: 'if (true)',
  },
];
