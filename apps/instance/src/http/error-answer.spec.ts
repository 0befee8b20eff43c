import { InferenceError, invalidRequest } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { HttpException, InternalServerErrorException, NotFoundException, UnauthorizedException } from '@nestjs/common';
import { errorCodes } from 'fastify';
import { errorAnswer } from './error-answer.js';
import { errorForLog } from './error-for-log.js';
import { MethodNotAllowedError } from './method-not-allowed.js';

const limits = { bodyLimitBytes: 100 };
const answer = (exception: unknown): ReturnType<typeof errorAnswer> => errorAnswer(exception, limits);
const wrapped = (error: Error & { statusCode?: number }): HttpException =>
  new HttpException(error.message, error.statusCode ?? 500, { cause: error });

describe('errorAnswer', () => {
  it('keeps an InferenceError, also inside an HttpException', () => {
    const error = invalidRequest('No.', 'messages[0].role', 'invalid_value');
    const expected = { status: 400, body: error.toBody() };
    expect(answer(error)).toMatchObject(expected);
    expect(answer(new HttpException(error.toBody(), 400, { cause: error }))).toMatchObject(expected);
  });

  it('keeps when to come again', () => {
    const error = new InferenceError('Busy.', { status: 503, retryAfterSeconds: 1.2 });
    expect(answer(error).retryAfterSeconds).toBe(1.2);
    expect(answer(new HttpException(error.toBody(), 503, { cause: error })).retryAfterSeconds).toBe(1.2);
  });

  it.each([
    [wrapped(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE()), 413, 'request_too_large', /limit of 100 bytes/],
    [new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE(), 413, 'request_too_large', /limit of 100 bytes/],
    [wrapped(new errorCodes.FST_ERR_CTP_INVALID_MEDIA_TYPE('text/plain')), 415, 'unsupported_media_type', /JSON/],
    [new NotFoundException('Cannot GET /secret'), 404, 'not_found', /^There is no such route\.$/],
    [new UnauthorizedException('Who are you?'), 401, null, /^Who are you\?$/],
    [new MethodNotAllowedError('GET', 'POST'), 405, 'method_not_allowed', /it answers POST/],
  ])('answers %p with %i %s', (exception, status, code, message) => {
    const { status: actual, body } = answer(exception);
    expect(actual).toBe(status);
    expect(body.error).toMatchObject({ code, param: null });
    expect(body.error.message).toMatch(message);
  });

  it.each([
    new Error('connect ECONNREFUSED 10.0.0.7:5432'),
    new InternalServerErrorException('connect ECONNREFUSED 10.0.0.7:5432'),
    new HttpException('upstream said: 10.0.0.7', 502),
    Object.assign(new Error('10.0.0.7'), { statusCode: 503 }),
    '10.0.0.7',
    { message: '10.0.0.7', statusCode: 418 },
    undefined,
  ])('tells nothing of %p', (exception) => {
    const { status, body } = answer(exception);
    expect(status).toBeGreaterThanOrEqual(500);
    expect(JSON.stringify(body)).not.toContain('10.0.0.7');
  });
});

describe('errorForLog', () => {
  it('has stack and causes, but no text that could not be parsed', () => {
    const cause = new SyntaxError('Unexpected token, "my secret prompt" is not valid JSON');
    const shown = errorForLog(new Error('The engine failed.', { cause }));
    expect(shown).toMatchObject({ message: 'The engine failed.', cause: { type: 'SyntaxError' } });
    expect(JSON.stringify(shown)).toContain('error-answer.spec');
    expect(JSON.stringify(shown)).not.toContain('secret');
  });
});
