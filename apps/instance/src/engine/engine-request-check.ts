import { RequestCheck } from '@baton/coordination';
import type { Engine } from '@baton/engines';
import type { InferenceRequest } from '@baton/inference';
import { Inject, Injectable } from '@nestjs/common';
import { LimitsConfig } from '../config/limits-config.js';
import { checkLimits } from '../limits/check-limits.js';
import { ENGINE } from './engine.token.js';

/** Before a manager splits a request: whether it keeps the limits, and whether the engine of this instance can serve the whole of it. */
@Injectable()
export class EngineRequestCheck extends RequestCheck {
  constructor(
    @Inject(ENGINE) private readonly engine: Engine,
    private readonly limits: LimitsConfig,
  ) {
    super();
  }

  override check(request: InferenceRequest): void {
    checkLimits(request.body, this.limits);
    this.engine.check(request);
  }
}
