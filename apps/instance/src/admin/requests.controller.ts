import { RequestRecords, type RequestRecord } from '@baton/coordination';
import { InferenceError, invalidRequest } from '@baton/inference';
import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiQuery, ApiTags } from '@nestjs/swagger';
import { RecordedRequest, RecordedRequests } from '../dto/admin/request-answers.js';
import { ApiError } from '../openapi/api-error.decorator.js';
import { ApiErrors } from '../openapi/api-errors.decorator.js';
import { AdminOnly } from '../security/access.js';

/** The largest ring that can be configured. */
const MOST = 65_536;

/** What happened to the last requests. It exists only where an admin key is configured. */
@ApiTags('operation')
@Controller('/admin/requests')
export class RequestsController {
  constructor(private readonly records: RequestRecords) {}

  @Get()
  @AdminOnly()
  @ApiOperation({
    summary: 'The last requests',
    description:
      'coordination.requestRecords of them, the newest first. Prompts are redacted. An instance without a connector ' +
      'decides nothing about its requests, and remembers none.',
  })
  @ApiQuery({ name: 'limit', required: false, schema: { type: 'integer', minimum: 1, maximum: MOST, default: 50 } })
  @ApiQuery({
    name: 'before',
    required: false,
    description: 'The key of the last one of the page before.',
    schema: { type: 'string', minLength: 1 },
  })
  @ApiOkResponse({ description: 'Their records.', type: RecordedRequests })
  @ApiErrors(400, 403, 500)
  listRequests(
    @Query('limit') limit: unknown,
    @Query('before') before: unknown,
  ): { readonly requests: readonly RequestRecord[] } {
    return { requests: this.records.list({ limit: limitOf(limit), before: keyOf(before) }) };
  }

  @Get(':id')
  @AdminOnly()
  @ApiOperation({ summary: 'What happened to one request' })
  @ApiParam({ name: 'id', description: 'Its id, as its answer had it in x-request-id.' })
  @ApiOkResponse({ description: 'Its record.', type: RecordedRequest })
  @ApiErrors(403, 500)
  @ApiError(404, 'No request of that id is remembered.')
  retrieveRequest(@Param('id') id: string): RequestRecord {
    const record = this.records.get(id);
    if (record !== undefined) return record;
    throw new InferenceError('No request of that id is remembered.', {
      status: 404,
      param: 'id',
      code: 'unknown_request',
    });
  }
}

function limitOf(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const limit = typeof value === 'string' && /^[1-9]\d{0,4}$/.test(value) ? Number(value) : NaN;
  if (limit <= MOST) return limit;
  throw invalidRequest(`limit must be a whole number from 1 to ${MOST}.`, 'limit');
}

function keyOf(value: unknown): string | undefined {
  if (value === undefined || (typeof value === 'string' && value !== '')) return value;
  throw invalidRequest('before must be the key of a request.', 'before');
}
