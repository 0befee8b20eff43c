import { describe, expect, it } from '@jest/globals';
import { expectObject, InferenceError, invalidRequest, readErrorBody, typeOfStatus } from './inference-error.js';

describe('InferenceError', () => {
  it('has the OpenAI shape, with nothing left out', () => {
    expect(invalidRequest('Too low.', 'max_tokens').toBody()).toEqual({
      error: { message: 'Too low.', type: 'invalid_request_error', param: 'max_tokens', code: null },
    });
  });

  it('tells nothing of an unknown error to the client, and keeps it as the cause', () => {
    const secret = new Error('connect to 10.0.0.7 with key sk-1');
    const error = InferenceError.from(secret);
    expect(error).toMatchObject({ status: 500, code: 'internal_error', type: 'server_error', cause: secret });
    expect(JSON.stringify(error.toBody())).not.toContain('sk-1');
    expect(InferenceError.from(error)).toBe(error);
    expect(InferenceError.from(undefined).status).toBe(500);
  });

  it.each([
    [400, 'invalid_request_error'],
    [401, 'authentication_error'],
    [403, 'permission_error'],
    [404, 'not_found_error'],
    [422, 'invalid_request_error'],
    [429, 'rate_limit_error'],
    [500, 'server_error'],
    [503, 'service_unavailable_error'],
    [504, 'server_error'],
  ])('of status %d is a %s', (status, type) => {
    expect(typeOfStatus(status)).toBe(type);
    expect(new InferenceError('x', { status }).type).toBe(type);
  });
});

describe('readErrorBody', () => {
  it('reads nested bodies', () => {
    const error = { message: 'No.', type: 'invalid_request_error', param: 'prompt', code: 'empty' };
    expect(readErrorBody({ error })).toEqual(error);
  });

  it('reads flat bodies', () => {
    expect(readErrorBody({ object: 'error', message: 'No.', type: 'BadRequestError', param: null, code: 400 })).toEqual(
      {
        message: 'No.',
        type: 'BadRequestError',
        param: undefined,
        code: undefined,
      },
    );
  });

  it('leaves out a code that is the status again', () => {
    expect(readErrorBody({ error: { message: 'No.', code: 400 } })?.code).toBeUndefined();
  });

  it.each([
    undefined,
    null,
    'No.',
    7,
    [],
    {},
    { error: 'No.' },
    { error: {} },
    { message: 7 },
    { error: { message: null } },
  ])('finds no error in %j', (body) => {
    expect(readErrorBody(body)).toBeUndefined();
  });
});

function errorOf(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return error;
  }
}

describe('expectObject', () => {
  it('gives an object back', () => {
    const body = {};
    expect(expectObject(body, null)).toBe(body);
  });

  it.each([
    [null, 'sampling_params', 'sampling_params must be a JSON object.'],
    [[], null, 'The request body must be a JSON object.'],
    ['x', null, 'The request body must be a JSON object.'],
  ])('refuses %j with a 400 that names %s', (value, param, message) => {
    expect(() => expectObject(value, param)).toThrow(message);
    expect(errorOf(() => expectObject(value, param))).toMatchObject({ status: 400, param });
  });
});
