import { Explainer, validateBody, type Explanation } from '@baton/coordination';
import {
  ANONYMOUS,
  InferenceError,
  invalidRequest,
  type Caller,
  type InferenceApi,
  type JsonObject,
} from '@baton/inference';
import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ExplainAnswer } from '../dto/admin/explain-answer.js';
import { ExplainRequest } from '../dto/admin/explain-request.js';
import { ChatCompletionRequest } from '../dto/chat-completion-request.js';
import { CompletionRequest } from '../dto/completion-request.js';
import { GenerateRequest } from '../dto/generate-request.js';
import { StrictBodyPipe } from '../http/strict-body.pipe.js';
import { ApiErrors } from '../openapi/api-errors.decorator.js';
import { AdminOnly } from '../security/access.js';

const BODIES = { completions: CompletionRequest, chat: ChatCompletionRequest, generate: GenerateRequest };

const CALLERS: Readonly<Record<'client' | 'peer', Caller>> = {
  client: ANONYMOUS,
  peer: { ...ANONYMOUS, trust: 'peer' },
};

/** Why a request would go where it would. It exists only where an admin key is configured. */
@ApiTags('operation')
@Controller('/admin/explain')
export class ExplainController {
  constructor(private readonly explainer: Explainer) {}

  @Post()
  @HttpCode(200)
  @AdminOnly()
  @ApiOperation({
    summary: 'Explain what would happen to a request',
    description:
      'Nothing is run and nobody is called. The answer has each manager that would be asked and what it would say, the ' +
      'legs with their bodies (prompts are redacted), the endpoints that would be considered, how the time is divided, ' +
      'and what is done when the client leaves.',
  })
  @ApiBody({ type: ExplainRequest })
  @ApiOkResponse({ description: 'What would happen.', type: ExplainAnswer })
  @ApiErrors(400, 403, 413, 415, 500)
  explain(@Body(new StrictBodyPipe(ExplainRequest)) request: ExplainRequest): Explanation {
    const { body, headers, caller } = request;
    const api = request.api ?? apiOf(body);
    checkBody(api, body);
    return this.explainer.explain({ api, body, headers: headers ?? {}, caller: CALLERS[caller ?? 'client'] });
  }
}

/** As clients are told it, but of a body within this one. */
function checkBody(api: InferenceApi, body: JsonObject): void {
  try {
    validateBody(BODIES[api], body);
  } catch (error) {
    if (!(error instanceof InferenceError)) throw error;
    throw invalidRequest(error.message, error.param === null ? 'body' : `body.${error.param}`, error.code);
  }
}

/** As routes have it: each has a protocol of its own. */
function apiOf(body: JsonObject): InferenceApi {
  if ('messages' in body) return 'chat';
  return 'token_ids' in body ? 'generate' : 'completions';
}
