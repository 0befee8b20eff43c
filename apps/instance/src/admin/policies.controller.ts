import { PolicyControl, type ChangeAuthor, type PolicyAudit, type PolicySnapshot } from '@baton/coordination';
import { InferenceError } from '@baton/inference';
import { Body, Controller, Get, Headers, HttpCode, Inject, Patch, Post, Req, Res } from '@nestjs/common';
import { ApiBody, ApiHeader, ApiOkResponse, ApiOperation, ApiTags, type ApiResponseOptions } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { Policies, PolicyHistory } from '../dto/admin/policy-answers.js';
import { PolicyPatch, PolicyRollback } from '../dto/admin/policy-requests.js';
import { StrictBodyPipe } from '../http/strict-body.pipe.js';
import { LOGGER } from '../log/logger.token.js';
import { ApiError } from '../openapi/api-error.decorator.js';
import { ApiErrors } from '../openapi/api-errors.decorator.js';
import { AdminOnly } from '../security/access.js';
import { etagOf, versionOfIfMatch } from './if-match.js';
import { operatorOf } from './operator.js';
import { toHistory, toPolicies } from './policy-answers.js';

const ETAG = { ETag: { description: 'The version, in quotes.', schema: { type: 'string', example: '"3"' } } } as const;
const POLICIES: ApiResponseOptions = {
  description: 'The policies that are in force now.',
  type: Policies,
  headers: ETAG,
};
const IF_MATCH = {
  name: 'if-match',
  required: false,
  description: 'The ETag of the policies that the change was made for; others are not changed. * for any.',
  schema: { type: 'string', example: '"3"' },
} as const;

/** Which manager is asked, when, and for what. It exists only where an admin key is configured. */
@ApiTags('operation')
@Controller('/admin/policies')
export class PoliciesController {
  constructor(
    private readonly control: PolicyControl,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  @Get()
  @AdminOnly()
  @ApiOperation({ summary: 'The policies that are in force' })
  @ApiOkResponse(POLICIES)
  @ApiErrors(403, 500)
  policies(@Res({ passthrough: true }) reply: FastifyReply): Policies {
    return answer(this.control.current(), reply);
  }

  @Patch()
  @AdminOnly()
  @ApiOperation({
    summary: 'Change the policies of managers',
    description:
      'All changes are made at once, or none. Requests that have begun go on under the policies that they began with. ' +
      'A field that is left out stays; null resets it to what the manager and the configuration say.',
  })
  @ApiHeader(IF_MATCH)
  @ApiBody({ type: PolicyPatch })
  @ApiOkResponse(POLICIES)
  @ApiErrors(400, 403, 412, 413, 415, 500, 503)
  async changePolicies(
    @Body(new StrictBodyPipe(PolicyPatch)) { managers, reason }: PolicyPatch,
    @Headers('if-match') ifMatch: string | undefined,
    @Req() http: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Policies> {
    const change = managers.map(withoutNulls);
    return this.#audited(http, reason, { action: 'change', managers: change.map(({ name }) => name) }, reply, (by) =>
      this.control.change(change, by, versionOfIfMatch(ifMatch)),
    );
  }

  @Get('history')
  @AdminOnly()
  @ApiOperation({ summary: 'Who changed the policies, when, and how' })
  @ApiOkResponse({ description: 'The changes that are kept, the newest first.', type: PolicyHistory })
  @ApiErrors(403, 500, 503)
  async policyHistory(): Promise<PolicyHistory> {
    return toHistory(await this.control.history());
  }

  @Post('rollback')
  @HttpCode(200)
  @AdminOnly()
  @ApiOperation({
    summary: 'Put the policies of an earlier version into force again',
    description: 'They get a new version. Version 0 is what the managers and the configuration say.',
  })
  @ApiHeader(IF_MATCH)
  @ApiBody({ type: PolicyRollback })
  @ApiOkResponse(POLICIES)
  @ApiErrors(400, 403, 412, 413, 415, 500, 503)
  @ApiError(404, 'The version is not kept.')
  async rollBackPolicies(
    @Body(new StrictBodyPipe(PolicyRollback)) { version, reason }: PolicyRollback,
    @Headers('if-match') ifMatch: string | undefined,
    @Req() http: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Policies> {
    return this.#audited(http, reason, { action: 'rollback', version }, reply, (by) =>
      this.control.rollback(version, by, versionOfIfMatch(ifMatch)),
    );
  }

  /** Writes down who asked for what was refused; what was changed is written down where it comes in force. */
  async #audited(
    http: FastifyRequest,
    reason: string | null | undefined,
    what: { readonly action: PolicyAudit['action'] } & Readonly<Record<string, unknown>>,
    reply: FastifyReply,
    change: (by: ChangeAuthor) => Promise<PolicySnapshot>,
  ): Promise<Policies> {
    const by: ChangeAuthor = { who: operatorOf(http), ...(reason ? { reason } : {}) };
    try {
      return answer(await change(by), reply);
    } catch (error) {
      const { code } = InferenceError.from(error);
      this.logger.info(
        { audit: true, ...by, ...what, outcome: 'refused', code },
        'An operator has changed no policies',
      );
      throw error;
    }
  }
}

function answer(snapshot: PolicySnapshot, reply: FastifyReply): Policies {
  void reply.header('etag', etagOf(snapshot.version));
  return toPolicies(snapshot);
}

type ManagerPatch = PolicyPatch['managers'][number];

/** A condition is given as a whole, so that null in it is nothing, and no reset. */
function withoutNulls(change: ManagerPatch): ManagerPatch {
  const { disaggregateWhen } = change;
  if (disaggregateWhen === null || disaggregateWhen === undefined) return change;
  const given = Object.entries(disaggregateWhen).filter(([, value]) => value !== null);
  return { ...change, disaggregateWhen: Object.fromEntries(given) };
}
