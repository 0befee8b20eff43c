import { IsInt, IsNumber, IsOptional, Max, Min } from 'class-validator';

/** What of hedging can be set. */
export class HedgedPrefillOptions {
  /**
   * A prefill that has not been answered after so long is tried on a second instance, in ms. Default: what 95 % of the last
   * 256 prefills have taken, but at least 50 ms.
   */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(600_000)
  readonly delayMs?: number;

  /** Of 100 requests, at most so many get a second attempt; 0: none. Default 10. */
  @IsNumber({ allowNaN: false, allowInfinity: false })
  @Min(0)
  @Max(100)
  readonly maxPercent: number = 10;

  /** Without {@link delayMs}: nothing is hedged before so many prefills were seen. Default 20. */
  @IsInt()
  @Min(1)
  @Max(256)
  readonly minSamples: number = 20;
}
