/** What the log says of an error: all of it, save messages that may repeat a piece of a request. */
export function errorForLog(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const frames = error.stack?.split('\n').filter((line) => line.trimStart().startsWith('at ')) ?? [];
  return {
    type: error.name,
    // V8's syntax errors quote the text that could not be parsed: a prompt, or a model's answer.
    message: error instanceof SyntaxError ? 'The text could not be parsed.' : error.message,
    stack: frames.join('\n'),
    ...(error.cause === undefined ? {} : { cause: errorForLog(error.cause) }),
  };
}
