import type { Engine } from '@baton/engines';
import type { JsonObject } from '@baton/inference';
import { Body, Controller, HttpCode, Inject, Post } from '@nestjs/common';
import { ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { ChatCompletionRequest } from '../dto/chat-completion-request.js';
import { CompletionRequest } from '../dto/completion-request.js';
import { ChatDerenderRequest, CompletionDerenderRequest, DERENDER_ANSWERS } from '../dto/derender.js';
import { GenerateRequest } from '../dto/generate-request.js';
import { ENGINE } from '../engine/engine.token.js';
import { ValidBodyPipe } from '../http/valid-body.pipe.js';
import { ApiOneOf, ApiRender } from '../openapi/api-render.decorator.js';

/** The two halves of an OpenAI request without the model in between, as vLLM has them: to token ids, and back. */
@ApiTags('tokens')
@Controller()
export class RenderController {
  constructor(@Inject(ENGINE) private readonly engine: Engine) {}

  @Post('/v1/completions/render')
  @HttpCode(200)
  @ApiRender({
    summary: 'Turn a completion request into generate requests, one for each prompt',
    body: CompletionRequest,
  })
  @ApiOkResponse({ description: 'The generate requests.', type: [GenerateRequest] })
  renderCompletion(@Body(new ValidBodyPipe(CompletionRequest)) body: JsonObject): Promise<unknown> {
    return this.engine.render('completions', body);
  }

  @Post('/v1/chat/completions/render')
  @HttpCode(200)
  @ApiRender({ summary: 'Turn a chat request into a generate request', body: ChatCompletionRequest })
  @ApiOkResponse({ description: 'The generate request.', type: GenerateRequest })
  renderChat(@Body(new ValidBodyPipe(ChatCompletionRequest)) body: JsonObject): Promise<unknown> {
    return this.engine.render('chat', body);
  }

  @Post('/v1/completions/derender')
  @HttpCode(200)
  @ApiRender({ summary: 'Turn generate answers into a completion', body: CompletionDerenderRequest })
  @ApiOneOf('The completion, or with stream its next event.', DERENDER_ANSWERS.completions)
  derenderCompletion(@Body(new ValidBodyPipe(CompletionDerenderRequest)) body: JsonObject): Promise<unknown> {
    return this.engine.derender('completions', body);
  }

  @Post('/v1/chat/completions/derender')
  @HttpCode(200)
  @ApiRender({ summary: 'Turn a generate answer into a chat completion', body: ChatDerenderRequest })
  @ApiOneOf('The chat completion, or with stream its next event.', DERENDER_ANSWERS.chat)
  derenderChat(@Body(new ValidBodyPipe(ChatDerenderRequest)) body: JsonObject): Promise<unknown> {
    return this.engine.derender('chat', body);
  }
}
