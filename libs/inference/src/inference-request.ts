import { ANONYMOUS, type Caller } from './caller.js';
import { FlowValve } from './flow-valve.js';
import { legId, newId } from './ids.js';
import { isJsonObject, type JsonObject } from './json.js';
import { isLeg } from './kv-transfer-params.js';
import type { RequestTrace } from './request-trace.js';

/** The three request protocols: OpenAI completions, OpenAI chat, and vLLM's token-in token-out. */
export type InferenceApi = 'completions' | 'chat' | 'generate';

/** A request, whatever its protocol. Immutable: a leg is made from it by {@link legOf}. */
export interface InferenceRequest {
  /** The client's id for the client's request; a fresh one for each leg and attempt, which begins with `key`. */
  readonly id: string;
  /** Made here for each client's request and shared by its legs: what tells, from an engine's id, whose leg it is. */
  readonly key: string;
  readonly api: InferenceApi;
  /** The JSON body as it came (validated, unknown fields kept). */
  readonly body: JsonObject;
  /** Headers that accompany every leg (`traceparent`, ...); never credentials. */
  readonly headers: Readonly<Record<string, string>>;
  /** The client's headers by lower-case name, for policies to read. Never sent on. */
  readonly clientHeaders: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Who sent it; of a leg that was made here, who sent the client's request. */
  readonly caller: Caller;
  /** When the whole answer has to be there, on the clock of `performance.now()`; undefined when nobody said. */
  readonly deadlineMs: number | undefined;
  /** How many instances it has come through, as trusted callers say. */
  readonly hops: number;
  /** Whether the answer is a stream of server-sent events. */
  readonly stream: boolean;
  /** Whether somebody else coordinates it: every manager declines it and it runs on this instance. */
  readonly isLeg: boolean;
  /** Closed while the client takes no more; shared by all legs of one request. */
  readonly valve: FlowValve;
  /** Told of what is decided for it and of its legs; undefined when nobody writes that down. Shared by all its legs. */
  readonly trace?: RequestTrace;
}

/** Marks a call as a leg, also one without a handoff. Its presence counts, its value says nothing. */
export const LEG_HEADER = 'x-baton-leg';

/** How many instances a request has come through. */
export const HOPS_HEADER = 'x-baton-hops';

/** Makes the request that a client sent. */
export function inferenceRequest(
  api: InferenceApi,
  body: JsonObject,
  options: Partial<
    Pick<InferenceRequest, 'id' | 'headers' | 'clientHeaders' | 'caller' | 'deadlineMs' | 'hops' | 'isLeg' | 'valve'>
  > = {},
): InferenceRequest {
  const key = newId();
  return {
    id: options.id ?? key,
    key,
    api,
    body,
    headers: options.headers ?? {},
    clientHeaders: options.clientHeaders ?? {},
    caller: options.caller ?? ANONYMOUS,
    deadlineMs: options.deadlineMs,
    hops: options.hops ?? 0,
    stream: body['stream'] === true,
    isLeg: options.isLeg === true || isLeg(body),
    valve: options.valve ?? new FlowValve(),
  };
}

/** A leg of `request`: the same request with another body and a fresh id. */
export function legOf(request: InferenceRequest, body: JsonObject): InferenceRequest {
  return { ...request, id: legId(request.key), body, stream: body['stream'] === true, isLeg: true };
}

/**
 * How many choices the answer has: `n` (`sampling_params.n` on the token endpoint; 1 when the client said nothing) for
 * each prompt, of which completions may have several.
 */
export function choiceCount({ api, body }: InferenceRequest): number {
  const holder = api === 'generate' ? body['sampling_params'] : body;
  const n = isJsonObject(holder) ? holder['n'] : undefined;
  return (typeof n === 'number' ? n : 1) * (api === 'completions' ? promptCount(body['prompt']) : 1);
}

function promptCount(prompt: unknown): number {
  // A list of numbers is one prompt, as token ids.
  return Array.isArray(prompt) && typeof prompt[0] !== 'number' ? Math.max(1, prompt.length) : 1;
}

/** The HTTP path of an api. Source: OpenAI API; vLLM `entrypoints/scale_out/token_in_token_out` for generate. */
export const API_PATHS: Readonly<Record<InferenceApi, string>> = {
  completions: '/v1/completions',
  chat: '/v1/chat/completions',
  generate: '/inference/v1/generate',
};
