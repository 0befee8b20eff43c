import { IsInt, Max, Min } from 'class-validator';

/** Every option has a default, so that the plugin loads without any. */
export class ShortAnswersOptions {
  /** Answers of at most so many tokens are short. Default 16. */
  @IsInt()
  @Min(1)
  @Max(1_000_000)
  readonly maxTokens: number = 16;
}
