import type { InferenceRequest } from '@baton/inference';
import type { CallHandler } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { defer, finalize, tap } from 'rxjs';
import { HANDLER, notePlan, NotedPlan } from '../explain/noted-plan.js';
import { tracedLeg } from '../explain/traced-leg.js';
import type { LocalExecution } from '../managers/disaggregated-request-manager.js';
import { handlerParts } from './handler-parts.js';
import { setLeg } from './leg.decorator.js';

/**
 * The handler of `http` as the local execution of its legs: each runs through the application's pipes with its own body.
 *
 * Nest keeps one body and one list of arguments per HTTP request, so a second leg that started before the handler
 * has answered the first would give the first its arguments. That is an error, not a wrong answer.
 */
export function localExecution(http: FastifyRequest, next: CallHandler): LocalExecution {
  let starting: InferenceRequest | undefined;
  return (leg) => {
    notePlan(leg, () => NotedPlan.whole(leg, HANDLER));
    return tracedLeg(
      leg,
      defer(() => {
        if (starting !== undefined) {
          throw new Error(
            'Legs run on this instance one after the other: the handler has not answered the last one yet.',
          );
        }
        starting = leg;
        const started = (): void => {
          if (starting === leg) starting = undefined;
        };
        setLeg(http, leg);
        http.body = leg.body;
        return next.handle().pipe(tap(started), finalize(started));
      }).pipe(handlerParts(leg.valve)),
    );
  };
}
