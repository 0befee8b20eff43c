import { validateBody, type BodyClass } from '@baton/coordination';
import { isJsonObject } from '@baton/inference';
import { Injectable, type PipeTransform } from '@nestjs/common';
import { checkKnownFields } from '../dto/fields/strict.js';

/** Checks a body against a DTO class and refuses fields that it does not have. No body at all is an empty one. */
@Injectable()
export class StrictBodyPipe implements PipeTransform<unknown, object> {
  constructor(private readonly bodyClass: BodyClass) {}

  /** @throws InferenceError 400 that names the field at fault. */
  transform(body: unknown): object {
    const given = body === undefined ? {} : body;
    if (isJsonObject(given)) checkKnownFields(this.bodyClass, given);
    validateBody(this.bodyClass, given);
    return given;
  }
}
