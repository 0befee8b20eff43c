/** A request that the simulated server refuses or cannot finish. A dialect writes it in its own shape. */
export class EngineError extends Error {
  override readonly name = 'EngineError';

  constructor(
    readonly status: number,
    message: string,
    /** What of the request is at fault. */
    readonly param: string | null = null,
    /** A type other than the one that the dialect has for the status. */
    readonly type?: string,
    /** The body, where it is not written by the dialect: somebody in front of the engine has answered. */
    readonly text?: string,
  ) {
    super(message);
  }
}

/** 400 with the reason. */
export const badRequest = (message: string, param: string | null = null): EngineError =>
  new EngineError(400, message, param);

/** A transfer failed, in the words that a client sees. */
export const kvLoadFailed = (): EngineError => new EngineError(500, 'Internal server error');

/** The client left, or the process ends: nobody reads an answer. Never written to a response. */
export class Gone extends Error {
  override readonly name = 'Gone';
}
