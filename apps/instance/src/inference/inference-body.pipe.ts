import { Dispatcher, validateBody, type BodyClass } from '@baton/coordination';
import { Injectable, type ArgumentMetadata, type PipeTransform } from '@nestjs/common';
import { LimitsConfig } from '../config/limits-config.js';
import { checkLimits } from '../limits/check-limits.js';

/** Checks the body of an inference route when coordination is off; when it is on, its interceptor has done so. */
@Injectable()
export class InferenceBodyPipe implements PipeTransform {
  constructor(
    private readonly dispatcher: Dispatcher,
    private readonly limits: LimitsConfig,
  ) {}

  /** @throws InferenceError 400 */
  transform(body: unknown, { metatype }: ArgumentMetadata): unknown {
    if (!this.dispatcher.isActive && metatype !== undefined) {
      validateBody(metatype as BodyClass, body);
      checkLimits(body, this.limits);
    }
    return body;
  }
}
