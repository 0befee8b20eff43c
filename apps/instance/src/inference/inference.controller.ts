import { Disaggregated, InferenceAnswer, Leg } from '@baton/coordination';
import type { Engine } from '@baton/engines';
import type { InferenceRequest } from '@baton/inference';
import { Body, Controller, HttpCode, Inject, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import {
  ChatCompletion,
  ChatCompletionChunk,
  Completion,
  CompletionChunk,
  GenerateChunk,
  GenerateResponse,
} from '../dto/answers.js';
import { ChatCompletionRequest } from '../dto/chat-completion-request.js';
import { CompletionRequest } from '../dto/completion-request.js';
import { GenerateRequest } from '../dto/generate-request.js';
import { ENGINE } from '../engine/engine.token.js';
import { ApiInference } from '../openapi/api-inference.decorator.js';
import { InferenceBodyPipe } from './inference-body.pipe.js';

/** The inference routes: each says how this instance computes it; `@Disaggregated()` decides who does. */
@ApiTags('inference')
@Controller()
export class InferenceController {
  constructor(@Inject(ENGINE) private readonly engine: Engine) {}

  @Post('/v1/completions')
  @HttpCode(200)
  @Disaggregated({ api: 'completions' })
  @ApiInference({ summary: 'Continue a text', answer: Completion, chunk: CompletionChunk })
  completions(@Body(InferenceBodyPipe) _body: CompletionRequest, @Leg() leg: InferenceRequest): InferenceAnswer {
    return new InferenceAnswer(this.engine.run(leg), leg);
  }

  @Post('/v1/chat/completions')
  @HttpCode(200)
  @Disaggregated({ api: 'chat' })
  @ApiInference({ summary: 'Continue a conversation', answer: ChatCompletion, chunk: ChatCompletionChunk })
  chatCompletions(
    @Body(InferenceBodyPipe) _body: ChatCompletionRequest,
    @Leg() leg: InferenceRequest,
  ): InferenceAnswer {
    return new InferenceAnswer(this.engine.run(leg), leg);
  }

  @Post('/inference/v1/generate')
  @HttpCode(200)
  @Disaggregated({ api: 'generate' })
  @ApiInference({ summary: 'Continue a list of tokens', answer: GenerateResponse, chunk: GenerateChunk })
  generate(@Body(InferenceBodyPipe) _body: GenerateRequest, @Leg() leg: InferenceRequest): InferenceAnswer {
    return new InferenceAnswer(this.engine.run(leg), leg);
  }

  /** The path in the text of vLLM's pull request 26178; the servers of the field have the other one. */
  @Post('/v1/inference/generate')
  @HttpCode(200)
  @Disaggregated({ api: 'generate' })
  @ApiInference({ summary: 'The same as /inference/v1/generate', answer: GenerateResponse, chunk: GenerateChunk })
  generateAlias(@Body(InferenceBodyPipe) _body: GenerateRequest, @Leg() leg: InferenceRequest): InferenceAnswer {
    return new InferenceAnswer(this.engine.run(leg), leg);
  }
}
