import { RequestCheck } from '@baton/coordination';
import type { Engine } from '@baton/engines';
import type { InferenceRequest } from '@baton/inference';
import { Inject, Injectable } from '@nestjs/common';
import { ENGINE } from './engine.token.js';

/** Asks the engine of this instance, before a manager splits a request, whether the whole of it can be served. */
@Injectable()
export class EngineRequestCheck extends RequestCheck {
  constructor(@Inject(ENGINE) private readonly engine: Engine) {
    super();
  }

  override check(request: InferenceRequest): void {
    this.engine.check(request);
  }
}
