import { Callers, InFlight } from '@baton/coordination';
import { Body, Controller, HttpCode, Post, Req } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { AbortRequestsRequest } from '../dto/abort-requests.js';
import { ValidBodyPipe } from '../http/valid-body.pipe.js';
import { ApiErrors } from '../openapi/api-errors.decorator.js';

/**
 * Ends requests by their ids, on both of their sides. Ids of no request are no error, as vLLM has it; neither are those of
 * others, which a client does not end.
 */
@ApiTags('inference')
@Controller()
export class AbortRequestsController {
  constructor(
    private readonly inFlight: InFlight,
    private readonly callers: Callers,
  ) {}

  @Post('/inference/v1/abort_requests')
  @HttpCode(200)
  @ApiOperation({
    summary: 'End requests',
    description: 'Ids that are not in flight here, or are of others, are passed over.',
  })
  @ApiBody({ type: AbortRequestsRequest })
  @ApiOkResponse({ description: 'They are being ended; the answer is empty.' })
  @ApiErrors(400, 413, 415, 500)
  abort(
    @Body(new ValidBodyPipe(AbortRequestsRequest)) { request_ids }: AbortRequestsRequest,
    @Req() http: FastifyRequest,
  ): void {
    this.inFlight.abort(request_ids, this.callers.callerOf(http));
  }

  /** The older path of the same. */
  @Post('/abort_requests')
  @HttpCode(200)
  @ApiOperation({ summary: 'The same as /inference/v1/abort_requests' })
  @ApiBody({ type: AbortRequestsRequest })
  @ApiOkResponse({ description: 'They are being ended; the answer is empty.' })
  @ApiErrors(400, 413, 415, 500)
  abortAlias(
    @Body(new ValidBodyPipe(AbortRequestsRequest)) { request_ids }: AbortRequestsRequest,
    @Req() http: FastifyRequest,
  ): void {
    this.inFlight.abort(request_ids, this.callers.callerOf(http));
  }
}
