import type { InferenceRequest } from '@baton/inference';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';

const legs = new WeakMap<object, InferenceRequest>();

/** Makes `leg` the request that the handler of this HTTP request runs next. */
export function setLeg(httpRequest: object, leg: InferenceRequest): void {
  legs.set(httpRequest, leg);
}

/** The inference request that a handler under `@Disaggregated()` is to run: the client's own, or a leg of it. */
export const Leg = createParamDecorator((_data: unknown, context: ExecutionContext): InferenceRequest => {
  const leg = legs.get(context.switchToHttp().getRequest<object>());
  if (leg === undefined) throw new Error('@Leg() needs @Disaggregated() on the same handler or its controller.');
  return leg;
});
