import { expectObject, isJsonObject } from '@baton/inference';
import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { mergeMap, of, type Observable } from 'rxjs';
import { Dispatcher, MANAGER_HEADER } from '../dispatch/dispatcher.js';
import { AnswerRenderer } from './answer-renderer.js';
import { InferenceAnswer } from './inference-answer.js';
import { setLeg } from './leg.decorator.js';
import { localExecution } from './local-execution.js';
import { RequestCheck } from './request-check.js';
import { validateBody } from './request-validation.js';
import {
  bodyClassOf,
  DisaggregatedMetadata,
  dispatchable,
  REQUEST_ID_HEADER,
  toInferenceRequest,
} from './route-contract.js';
import { toHttpException } from './to-http-exception.js';

/**
 * The mixin: puts the managers before a handler, and makes the handler their local execution. It subscribes once
 * and unsubscribes once, when the response is complete or the client has gone; there is no other cleanup.
 */
@Injectable()
export class DisaggregationInterceptor implements NestInterceptor {
  constructor(
    private readonly dispatcher: Dispatcher,
    private readonly renderer: AnswerRenderer,
    private readonly requestCheck: RequestCheck,
    private readonly reflector: Reflector,
  ) {}

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const http = context.switchToHttp().getRequest<FastifyRequest>();
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    const options = this.reflector.getAllAndOverride(DisaggregatedMetadata, [context.getHandler(), context.getClass()]);
    if (!this.dispatcher.isActive) {
      if (isJsonObject(http.body)) setLeg(http, toInferenceRequest(http, reply, http.body, options));
      return this.passThrough(next, reply);
    }
    const bodyClass = bodyClassOf(context, options);
    // Not an inference request: a route without a body (`GET /v1/models`), or a handler that takes whatever comes.
    if (bodyClass === undefined && !isJsonObject(http.body)) return next.handle();
    try {
      if (bodyClass !== undefined) validateBody(bodyClass, http.body);
      const received = toInferenceRequest(http, reply, expectObject(http.body, null), options);
      const request = dispatchable(received, this.dispatcher.runsLegs);
      // Nothing has been started yet when the request is refused, neither for its manager nor by the check.
      const managers = this.dispatcher.order(request);
      if (!request.isLeg) await this.requestCheck.check(request);
      setLeg(http, request);
      http.body = request.body;
      void reply.header(REQUEST_ID_HEADER, request.id);
      const dispatched = this.dispatcher.dispatch(request, localExecution(http, next), managers);
      void reply.header(MANAGER_HEADER, dispatched?.manager ?? 'local');
      if (dispatched === undefined) return this.passThrough(next, reply);
      return this.renderer.render(new InferenceAnswer(dispatched.parts, request), reply);
    } catch (error) {
      throw toHttpException(error);
    }
  }

  /** Nothing more of the request is touched, and of the response only what no other handler returns. */
  private passThrough(next: CallHandler, reply: FastifyReply): Observable<unknown> {
    return next
      .handle()
      .pipe(
        mergeMap((value: unknown) =>
          value instanceof InferenceAnswer ? this.renderer.render(value, reply) : of(value),
        ),
      );
  }
}
