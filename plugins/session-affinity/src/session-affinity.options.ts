import { IsInt, IsNumber, Matches, Max, Min } from 'class-validator';

/** The characters of a header's name (RFC 9110, 5.6.2). */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;

/** What the picker is told in the configuration. Every option has a default. */
export class SessionAffinityOptions {
  /**
   * The header of the client's request that names its session, in any spelling. Sessions of several callers are apart. Default
   * `x-session-id`.
   */
  @Matches(HEADER_NAME, { message: 'header must be the name of a header, such as x-session-id' })
  readonly header: string = 'x-session-id';

  /**
   * How many bytes of the prompt stand for a session that has no name; a token id counts as four. 0: none, so that such
   * requests go to whichever instance has least to do. Default 256.
   */
  @IsInt({ message: 'prefixBytes must be a whole number of bytes' })
  @Min(0, { message: 'prefixBytes must be at least 0' })
  @Max(65_536, { message: 'prefixBytes must be at most 65536' })
  readonly prefixBytes: number = 256;

  /**
   * How much more than its share an instance may hold of what the picker has given out, before sessions of its own go to the
   * next one: 1 is an even spread, 2 is twice the mean. Default 1.25.
   */
  @IsNumber({}, { message: 'loadFactor must be a number' })
  @Min(1, { message: 'loadFactor must be at least 1: below, there would not be room for all' })
  @Max(1_000, { message: 'loadFactor must be at most 1000' })
  readonly loadFactor: number = 1.25;
}
