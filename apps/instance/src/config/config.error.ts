/** What is wrong with a configuration: every problem at once, each a sentence that names key, source and value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(readonly problems: readonly string[]) {
    super(problems.join('\n'));
  }
}
