import type { Engine, ModelCard } from '@baton/engines';
import { InferenceError } from '@baton/inference';
import { Controller, Get, Inject, Param } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Model, ModelList } from '../dto/model-list.js';
import { ENGINE } from '../engine/engine.token.js';
import { ApiErrors } from '../openapi/api-errors.decorator.js';

/** What this instance serves. */
@ApiTags('models')
@Controller('/v1/models')
export class ModelsController {
  constructor(@Inject(ENGINE) private readonly engine: Engine) {}

  @Get()
  @ApiOperation({ summary: 'List the models' })
  @ApiOkResponse({ description: 'The models.', type: ModelList })
  @ApiErrors(500, 502, 503, 504)
  async listModels(): Promise<ModelList> {
    return { object: 'list', data: (await this.engine.models()).map(toModel) };
  }

  @Get(':id')
  @ApiOperation({ summary: 'Describe one model' })
  @ApiOkResponse({ description: 'The model.', type: Model })
  @ApiErrors(404, 500, 502, 503, 504)
  async retrieveModel(@Param('id') id: string): Promise<Model> {
    const card = (await this.engine.models()).find((candidate) => candidate.id === id);
    if (card === undefined) {
      throw new InferenceError(`The model ${JSON.stringify(id)} does not exist.`, {
        status: 404,
        param: 'model',
        code: 'model_not_found',
      });
    }
    return toModel(card);
  }
}

function toModel({ id, created, ownedBy, maxModelTokens }: ModelCard): Model {
  return { id, object: 'model', created, owned_by: ownedBy, max_model_len: maxModelTokens ?? null };
}
