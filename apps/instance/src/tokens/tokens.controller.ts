import type { Engine } from '@baton/engines';
import type { JsonObject } from '@baton/inference';
import { Body, Controller, HttpCode, Inject, Post } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { DetokenizeRequest, DetokenizeResponse, TokenizeRequest, TokenizeResponse } from '../dto/tokenize.js';
import { ENGINE } from '../engine/engine.token.js';
import { ValidBodyPipe } from '../http/valid-body.pipe.js';
import { ApiErrors } from '../openapi/api-errors.decorator.js';

/** Text to token ids and back, as vLLM has it. */
@ApiTags('tokens')
@Controller()
export class TokensController {
  constructor(@Inject(ENGINE) private readonly engine: Engine) {}

  @Post('/tokenize')
  @HttpCode(200)
  @ApiOperation({ summary: 'Turn text, or a conversation, into token ids' })
  @ApiBody({ type: TokenizeRequest })
  @ApiOkResponse({ description: 'The token ids.', type: TokenizeResponse })
  @ApiErrors(400, 404, 413, 415, 500, 502, 503, 504)
  tokenize(@Body(new ValidBodyPipe(TokenizeRequest)) body: JsonObject): Promise<JsonObject> {
    return this.engine.tokenize(body);
  }

  @Post('/detokenize')
  @HttpCode(200)
  @ApiOperation({ summary: 'Turn token ids into text' })
  @ApiBody({ type: DetokenizeRequest })
  @ApiOkResponse({ description: 'The text.', type: DetokenizeResponse })
  @ApiErrors(400, 404, 413, 415, 500, 502, 503, 504)
  detokenize(@Body(new ValidBodyPipe(DetokenizeRequest)) body: JsonObject): Promise<JsonObject> {
    return this.engine.detokenize(body);
  }
}
