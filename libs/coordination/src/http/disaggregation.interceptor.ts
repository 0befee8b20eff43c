import { expectObject, isJsonObject, isTrusted, type InferenceRequest, type JsonObject } from '@baton/inference';
import { Inject, Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { mergeMap, of, type Observable } from 'rxjs';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import type { CoordinationOptions } from '../coordination.options.js';
import { Dispatcher, LOCAL_ANSWER, MANAGER_HEADER, POLICY_VERSION_HEADER } from '../dispatch/dispatcher.js';
import { recordedHandler } from '../explain/recorded-handler.js';
import { RequestRecords } from '../explain/request-records.js';
import { HandoffAddresses } from '../trust/handoff-addresses.js';
import { AnswerRenderer } from './answer-renderer.js';
import { Callers } from './callers.js';
import { endReason } from './end-reason.js';
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
  type DisaggregatedOptions,
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
    private readonly callers: Callers,
    private readonly addresses: HandoffAddresses,
    private readonly records: RequestRecords,
    private readonly reflector: Reflector,
    @Inject(COORDINATION_OPTIONS) private readonly options: CoordinationOptions,
  ) {}

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const http = context.switchToHttp().getRequest<FastifyRequest>();
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    const options = this.reflector.getAllAndOverride(DisaggregatedMetadata, [context.getHandler(), context.getClass()]);
    if (!this.dispatcher.isActive) {
      if (isJsonObject(http.body)) this.withoutManagers(http, reply, http.body, options);
      return this.passThrough(next, reply);
    }
    const bodyClass = bodyClassOf(context, options);
    // Not an inference request: a route without a body (`GET /v1/models`), or a handler that takes whatever comes.
    if (bodyClass === undefined && !isJsonObject(http.body)) return next.handle();
    try {
      if (bodyClass !== undefined) validateBody(bodyClass, http.body);
      const received = this.received(http, reply, expectObject(http.body, null), options);
      // Nothing has been started yet when the request is refused, neither for its manager nor by the check.
      this.dispatcher.order(received);
      if (!received.isLeg) await this.requestCheck.check(received);
      return this.dispatch(http, next, reply, received);
    } catch (error) {
      throw toHttpException(error);
    }
  }

  /** Asks the managers, and writes down what comes of it. */
  private dispatch(
    http: FastifyRequest,
    next: CallHandler,
    reply: FastifyReply,
    received: InferenceRequest,
  ): Observable<unknown> {
    // The table is read in the same turn in which its managers are asked: one that was unloaded while the check ran is not.
    const { version } = this.dispatcher;
    const recording = this.records.begin(received, version);
    const request = recording === undefined ? received : { ...received, trace: recording };
    setLeg(http, request);
    http.body = request.body;
    void reply.header(REQUEST_ID_HEADER, request.id);
    void reply.header(POLICY_VERSION_HEADER, version);
    const answeredBy = (manager: string): void => {
      recording?.answeredBy(manager);
      void reply.header(MANAGER_HEADER, manager);
    };
    try {
      const order = this.dispatcher.order(request);
      const dispatched = this.dispatcher.dispatch(request, localExecution(http, next), order, answeredBy);
      answeredBy(dispatched?.manager ?? LOCAL_ANSWER);
      if (dispatched !== undefined) {
        return this.renderer.render(new InferenceAnswer(dispatched.parts, request), reply);
      }
      return recording === undefined
        ? this.passThrough(next, reply)
        : recordedHandler(next, request, recording, (answer) => this.renderer.render(answer, reply));
    } catch (error) {
      recording?.over(endReason(error));
      throw error;
    }
  }

  /**
   * What the handler is to run when no manager is asked: the request as it came, but for what its caller may not say.
   *
   * @throws HttpException as {@link received}
   */
  private withoutManagers(
    http: FastifyRequest,
    reply: FastifyReply,
    body: JsonObject,
    options: DisaggregatedOptions,
  ): void {
    try {
      const request = this.received(http, reply, body, options);
      setLeg(http, request);
      http.body = request.body;
    } catch (error) {
      throw toHttpException(error);
    }
  }

  /**
   * The request, without what its caller may not say.
   *
   * @throws InferenceError 403 `address_not_allowed`, 508 `loop_detected`
   */
  private received(
    http: FastifyRequest,
    reply: FastifyReply,
    body: JsonObject,
    options: DisaggregatedOptions,
  ): InferenceRequest {
    const { isActive, runsLegs } = this.dispatcher;
    const caller = this.callers.callerOf(http);
    const received = toInferenceRequest(http, reply, body, options, caller, this.options.totalTimeoutMs);
    // Without managers nothing is shaped here: what a trusted caller says of handoffs is for the handler, leg or not.
    const isPassedOn = !isActive && isTrusted(received.caller);
    const request = isPassedOn ? received : dispatchable(received, runsLegs);
    if (isPassedOn || request.isLeg) this.addresses.assertLeg(request);
    return request;
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
