import { validateBody, type BodyClass } from '@baton/coordination';
import type { JsonObject } from '@baton/inference';
import { Injectable, type PipeTransform } from '@nestjs/common';
import { checkTemplate } from '../limits/check-limits.js';

/** Checks a body against a DTO class and hands it on as it came, unknown fields included. */
@Injectable()
export class ValidBodyPipe implements PipeTransform<unknown, JsonObject> {
  constructor(private readonly bodyClass: BodyClass) {}

  /** @throws InferenceError 400 */
  transform(body: unknown): JsonObject {
    validateBody(this.bodyClass, body);
    checkTemplate(body);
    return body;
  }
}
