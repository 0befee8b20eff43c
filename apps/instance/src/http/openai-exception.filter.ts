import { InferenceError } from '@baton/inference';
import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { errorAnswer } from './error-answer.js';
import { errorForLog } from './error-for-log.js';

/** Sends every error of the instance, whoever threw it, in the OpenAI error shape. */
@Catch()
export class OpenAiExceptionFilter implements ExceptionFilter {
  constructor(private readonly limits: { readonly bodyLimitBytes: number }) {}

  catch(exception: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const { status, body, retryAfterSeconds, allow, challenge } = errorAnswer(exception, this.limits);
    if (status >= 500 && !isMeantForClient(exception)) {
      request.log.error({ err: errorForLog(exception) }, 'A request failed');
    }
    if (reply.sent || reply.raw.headersSent) {
      // Part of an answer is out; only a broken connection can still tell that it is not the whole.
      reply.raw.destroy();
      return;
    }
    if (retryAfterSeconds !== undefined) void reply.header('retry-after', String(Math.ceil(retryAfterSeconds)));
    if (allow !== undefined) void reply.header('allow', allow);
    if (challenge !== undefined) void reply.header('www-authenticate', challenge);
    // Fastify closes the connection when a body is too large. A client that is still sending would then see a reset
    // in place of the answer; kept open, Node reads and drops the rest, within the server's request timeout.
    if (status === 413) void reply.removeHeader('connection');
    void reply.code(status).header('content-type', 'application/json; charset=utf-8').send(body);
  }
}

/** Errors that we made for clients are booked in metrics; only what nobody expected needs a stack in the log. */
function isMeantForClient(exception: unknown): boolean {
  const error = exception instanceof Error && exception.cause instanceof InferenceError ? exception.cause : exception;
  return error instanceof InferenceError && error.code !== 'internal_error';
}
