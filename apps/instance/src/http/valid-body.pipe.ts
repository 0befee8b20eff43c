import { validateBody, type BodyClass } from '@baton/coordination';
import type { JsonObject } from '@baton/inference';
import { Injectable, type PipeTransform } from '@nestjs/common';

/** Checks a body against a DTO class and hands it on as it came, unknown fields included. */
@Injectable()
export class ValidBodyPipe implements PipeTransform<unknown, JsonObject> {
  constructor(private readonly bodyClass: BodyClass) {}

  /** @throws InferenceError 400 */
  transform(body: unknown): JsonObject {
    validateBody(this.bodyClass, body);
    return body;
  }
}
