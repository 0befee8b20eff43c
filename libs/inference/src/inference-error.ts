import { isJsonObject, type JsonObject } from './json.js';

/** What an {@link InferenceError} says besides its message. */
export interface InferenceErrorOptions {
  /** HTTP status that the client sees, 400 to 599. */
  readonly status: number;
  /** The field's error class: `invalid_request_error`, `not_found_error`, `server_error`, ... */
  readonly type?: string;
  /** The request field at fault, as a path (`messages[0].role`), or null. */
  readonly param?: string | null;
  /** A stable word for programs, for example `context_length_exceeded`, or null. */
  readonly code?: string | null;
  /** Seconds after which a retry makes sense (`Retry-After`). */
  readonly retryAfterSeconds?: number;
  readonly cause?: unknown;
}

/** The error object that OpenAI's API sends: `{"error":{"message","type","param","code"}}`. */
export interface OpenAiErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** An error that is meant for the client, in the OpenAI error shape. */
export class InferenceError extends Error {
  override readonly name = 'InferenceError';
  readonly status: number;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
  readonly retryAfterSeconds: number | undefined;

  constructor(message: string, options: InferenceErrorOptions) {
    super(message, { cause: options.cause });
    this.status = options.status;
    this.type = options.type ?? typeOfStatus(options.status);
    this.param = options.param ?? null;
    this.code = options.code ?? null;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  /** The body to send. */
  toBody(): OpenAiErrorBody {
    const { message, type, param, code } = this;
    return { error: { message, type, param, code } };
  }

  /** Any thrown value as an error for the client; what it does not know becomes a 500 without details. */
  static from(error: unknown): InferenceError {
    if (error instanceof InferenceError) return error;
    return new InferenceError('The server had an error while processing the request.', {
      status: 500,
      code: 'internal_error',
      cause: error,
    });
  }
}

/** A 400 that names the field at fault. */
export function invalidRequest(message: string, param: string | null, code: string | null = null): InferenceError {
  return new InferenceError(message, { status: 400, param, code });
}

/** The error class that OpenAI's API uses for a status. */
export function typeOfStatus(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 404) return 'not_found_error';
  if (status === 429) return 'rate_limit_error';
  if (status === 503) return 'service_unavailable_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}

/**
 * Reads an error body of any server of the field: nested (`{"error":{...}}`: OpenAI, vLLM, llama.cpp) or
 * flat (`{"object":"error","message",...}`: older vLLM, SGLang, TensorRT-LLM), `code` a number or a string.
 * Undefined when `body` holds no error.
 */
export function readErrorBody(
  body: unknown,
): { message: string; type?: string; param?: string; code?: string } | undefined {
  const found = isJsonObject(body) && isJsonObject(body['error']) ? body['error'] : body;
  if (!isJsonObject(found) || typeof found['message'] !== 'string') return undefined;
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  return {
    message: found['message'],
    type: text(found['type']),
    param: text(found['param']),
    code: typeof found['code'] === 'number' ? undefined : text(found['code']),
  };
}

/** Reads an object, or throws the 400 that names `param`. */
export function expectObject(value: unknown, param: string | null): JsonObject {
  if (isJsonObject(value)) return value;
  throw invalidRequest(`${param ?? 'The request body'} must be a JSON object.`, param);
}
