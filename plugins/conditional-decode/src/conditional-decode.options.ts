import { IsIn } from 'class-validator';

/** What follows when the decode instance has failed before it said anything. */
export const ON_FAILURE = ['split', 'fail'] as const;

/** What the manager is told in the configuration. Every option has a default. */
export class ConditionalDecodeOptions {
  /**
   * What becomes of a request whose first try has failed, and not because its prompt is not cached: `split` runs it as a prefill
   * and a decode, when for sure nothing was computed and there are retries left; `fail` tells the client. Default `split`.
   */
  @IsIn(ON_FAILURE, { message: `onFailure must be one of ${ON_FAILURE.join(', ')}` })
  readonly onFailure: (typeof ON_FAILURE)[number] = 'split';
}
