/** What a simulated engine is and how fast. */
export interface EngineOptions {
  readonly model: string;
  readonly maxModelLen: number;
  /** How long an answer is when its request does not say. */
  readonly defaultMaxTokens: number;
  readonly prefillUsPerToken: number;
  readonly decodeUsPerToken: number;
  readonly maxRunning: number;
  readonly maxQueued: number;
  readonly dataParallelSize: number;
  readonly prefixCaching: boolean;
  /** `Prefer: if-available` is answered 412 when none of the prompt is cached. */
  readonly conditionalDecode: boolean;
  readonly promptTokensDetails: boolean;
  /** What a decode does whose cache did not arrive. */
  readonly kvLoadFailurePolicy: 'fail' | 'recompute';
}
