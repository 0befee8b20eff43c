import type { InferenceRequest, ResponsePart } from '@baton/inference';
import type { Observable } from 'rxjs';

/**
 * What a handler under `@Disaggregated()` may return: the parts of an answer, to be streamed or sent as JSON as
 * the request asks. Nothing runs until it is rendered.
 */
export class InferenceAnswer {
  constructor(
    readonly parts: Observable<ResponsePart>,
    readonly request: InferenceRequest,
  ) {}
}
