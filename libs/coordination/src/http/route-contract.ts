import {
  clientBody,
  clientRequestId,
  inferenceRequest,
  isTrusted,
  LEG_HEADER,
  type Caller,
  type InferenceApi,
  type InferenceRequest,
  type JsonObject,
} from '@baton/inference';
import type { ExecutionContext } from '@nestjs/common';
import { ROUTE_ARGS_METADATA, RouteParamtypes } from '@nestjs/common/internal';
import { Reflector } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { IncomingHttpHeaders } from 'node:http';
import { DEFAULT_TOTAL_TIMEOUT_MS } from '../coordination.options.js';
import { deadlineOf } from './deadline.js';
import { hopsOf } from './hops.js';
import { accompanyingHeaders, readableHeaders } from './request-headers.js';
import type { BodyClass } from './request-validation.js';

/** What `@Disaggregated()` may say of a route. */
export interface DisaggregatedOptions {
  /** The protocol of the route. By default told from the body: `messages` chat, `token_ids` generate, else completions. */
  readonly api?: InferenceApi;
  /** The class to check the body against. By default the type of the handler's `@Body()` parameter. */
  readonly body?: BodyClass;
}

/** Where `@Disaggregated()` leaves its options. */
export const DisaggregatedMetadata = Reflector.createDecorator<DisaggregatedOptions>({ key: 'baton:disaggregated' });

/** The client's id of its request, on the way in and on the way out. */
export const REQUEST_ID_HEADER = 'x-request-id';

/** Of legs that come in: the engine of several that has the KV. Source: vLLM, data parallel deployment. */
const RANK_HEADER = 'x-data-parallel-rank';

/** The class to check this route's body against; undefined when the handler takes an untyped body. */
export function bodyClassOf(context: ExecutionContext, options: DisaggregatedOptions): BodyClass | undefined {
  if (options.body !== undefined) return options.body;
  const [controller, method] = [context.getClass(), context.getHandler().name];
  const parameters = (Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, method) ?? {}) as Record<
    string,
    RouteArgument
  >;
  const body = Object.entries(parameters).find(
    ([key, { data }]) => key.startsWith(`${RouteParamtypes.BODY}:`) && data === undefined,
  );
  if (body === undefined) return undefined;
  const types = (Reflect.getMetadata('design:paramtypes', controller.prototype as object, method) ?? []) as unknown[];
  const type = types[body[1].index];
  return typeof type === 'function' && !BUILT_IN.has(type) ? (type as BodyClass) : undefined;
}

/** What Nest keeps of a handler's parameter; `data` is the field's name in `@Body('field')`. */
interface RouteArgument {
  readonly index: number;
  readonly data?: unknown;
}

/** Types that carry no decorators (as in Nest's own `ValidationPipe`). */
const BUILT_IN: ReadonlySet<unknown> = new Set([Object, String, Number, Boolean, Array]);

/**
 * The HTTP request in protocol-neutral form. The body has been checked. What it says of legs counts only when its caller is
 * trusted; see {@link dispatchable} for the rest of what a client may not say.
 *
 * @param totalTimeoutMs the most time that it may have for its answer
 * @throws InferenceError 400 when it asks for no time, 508 `loop_detected` when it has come through too many instances.
 */
export function toInferenceRequest(
  http: FastifyRequest,
  reply: FastifyReply,
  body: JsonObject,
  options: DisaggregatedOptions,
  caller: Caller,
  totalTimeoutMs = DEFAULT_TOTAL_TIMEOUT_MS,
): InferenceRequest {
  // An application that names its requests has done so before the interceptor ran.
  const id = reply.getHeader(REQUEST_ID_HEADER) ?? http.headers[REQUEST_ID_HEADER];
  return sentRequest({ id, api: options.api ?? apiOf(body), body, headers: http.headers, caller, totalTimeoutMs });
}

/** What somebody sent, or would send. */
export interface SentRequest {
  /** Its id as its sender names it. */
  readonly id: unknown;
  readonly api: InferenceApi;
  readonly body: JsonObject;
  readonly headers: IncomingHttpHeaders;
  readonly caller: Caller;
  readonly totalTimeoutMs: number;
}

/** As {@link toInferenceRequest}, of a request that need not have come over HTTP. */
export function sentRequest({ id, api, body, headers, caller, totalTimeoutMs }: SentRequest): InferenceRequest {
  const request = inferenceRequest(api, body, {
    id: clientRequestId(id),
    caller,
    deadlineMs: deadlineOf(headers, totalTimeoutMs),
    hops: hopsOf(headers),
    headers: accompanyingHeaders(headers),
    clientHeaders: readableHeaders(headers),
    isLeg: headers[LEG_HEADER] !== undefined,
  });
  if (!isTrusted(caller)) return { ...request, isLeg: false };
  const rank = request.isLeg ? headers[RANK_HEADER] : undefined;
  return isRank(rank) ? { ...request, headers: { ...request.headers, [RANK_HEADER]: rank } } : request;
}

const isRank = (value: unknown): value is string => typeof value === 'string' && /^\d{1,9}$/.test(value);

/**
 * `request` as it is dispatched. A leg is for others to shape, when a trusted caller sent it; a client's own request says
 * nothing of handoffs.
 *
 * @param runsLegs whether this instance runs legs; whoever marks a request as one elsewhere is a client all the same.
 */
export function dispatchable(request: InferenceRequest, runsLegs: boolean): InferenceRequest {
  if (request.isLeg && runsLegs && isTrusted(request.caller)) return request;
  const body = clientBody(request.body);
  if (body === request.body && !request.isLeg) return request;
  const { [RANK_HEADER]: _rank, ...headers } = request.headers;
  return { ...request, body, headers, isLeg: false };
}

function apiOf(body: JsonObject): InferenceApi {
  if ('messages' in body) return 'chat';
  return 'token_ids' in body ? 'generate' : 'completions';
}
