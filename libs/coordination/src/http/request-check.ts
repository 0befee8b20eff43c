import type { InferenceRequest } from '@baton/inference';
import { Injectable } from '@nestjs/common';

/**
 * Asked before any manager runs, with the client's own request: what the prefill leg can no longer tell (a prompt
 * and `max_tokens` over the context, an unknown model) is refused here, so that no KV is left behind for a decode
 * that would refuse it. Replace it by a provider of your own for this token; this one allows everything.
 */
@Injectable()
export class RequestCheck {
  /** @throws InferenceError to refuse `request`. */
  check(_request: InferenceRequest): void | Promise<void> {}
}
