import { invalidRequest, isJsonObject, type InferenceRequest } from '@baton/inference';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { toHttpException } from './to-http-exception.js';

const legs = new WeakMap<object, InferenceRequest>();

/** Makes `leg` the request that the handler of this HTTP request runs next. */
export function setLeg(httpRequest: object, leg: InferenceRequest): void {
  legs.set(httpRequest, leg);
}

/** The inference request that a handler under `@Disaggregated()` is to run: the client's own, or a leg of it. */
export const Leg = createParamDecorator((_data: unknown, context: ExecutionContext): InferenceRequest => {
  const http = context.switchToHttp().getRequest<{ readonly body?: unknown }>();
  const leg = legs.get(http);
  if (leg !== undefined) return leg;
  if (isJsonObject(http.body)) throw new Error('@Leg() needs @Disaggregated() on the same handler or its controller.');
  throw toHttpException(invalidRequest('The request body must be a JSON object.', null));
});
