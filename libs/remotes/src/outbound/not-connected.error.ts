/** There is no connection: the name was not found, nobody listens, or TLS was refused. Nothing has been sent. */
export class NotConnectedError extends Error {
  override readonly name = 'NotConnectedError';
  /** That of the cause; undici looks at it. */
  readonly code: string | undefined;

  constructor(cause: Error & { readonly code?: string }) {
    super(cause.message, { cause });
    this.code = cause.code;
  }
}
