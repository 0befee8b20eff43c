import 'reflect-metadata';
import { InferenceError, RawJson } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { Type } from 'class-transformer';
import { IsArray, IsInt, IsOptional, IsString, Min, ValidateBy, ValidateNested } from 'class-validator';
import { validateBody } from './request-validation.js';

class Part {
  @IsString()
  type!: string;
}
class Message {
  @IsString()
  role!: string;
  @IsOptional()
  @ValidateNested({ each: true })
  @Type(() => Part)
  content?: Part[];
}
class Body {
  @IsOptional()
  @IsArray()
  @ValidateNested({ each: true })
  @Type(() => Message)
  messages?: Message[];
  @IsOptional()
  @IsInt()
  @Min(1)
  max_tokens?: number;
  @IsOptional()
  @IsInt({ each: true })
  token_ids?: number[];
}

class KeptBody {
  @ValidateBy({
    name: 'kept',
    validator: { validate: (value: unknown) => value instanceof RawJson && value.length === 3 },
  })
  token_ids!: RawJson;
  @IsInt()
  max_tokens!: number;
}

function refusal(body: unknown): InferenceError | undefined {
  try {
    validateBody(Body, body);
    return undefined;
  } catch (error) {
    return error as InferenceError;
  }
}

describe('validateBody', () => {
  it('lets a good body pass untouched, with fields that it does not know', () => {
    const body = { messages: [{ role: 'user', odd: 1 }], max_tokens: 5, kv_transfer_params: { a: [null] } };
    const before = structuredClone(body);
    expect(refusal(body)).toBeUndefined();
    expect(body).toEqual(before);
  });

  it.each([
    [{ max_tokens: 0 }, 'max_tokens'],
    [{ max_tokens: '5' }, 'max_tokens'],
    [{ max_tokens: 1.5 }, 'max_tokens'],
    [{ messages: 'x' }, 'messages'],
    [{ messages: [{ role: 'user' }, { role: 7 }] }, 'messages[1].role'],
    [{ messages: [{ role: 'user', content: [{ type: 'text' }, {}] }] }, 'messages[0].content[1].type'],
    [{ token_ids: [1, 'x'] }, 'token_ids'],
    [{ token_ids: [1, 2.5] }, 'token_ids'],
    [{ token_ids: ['x'] }, 'token_ids'],
  ])('refuses %j with a 400 that names %s', (body, param) => {
    const error = refusal(body);
    expect(error).toBeInstanceOf(InferenceError);
    expect(error).toMatchObject({ status: 400, type: 'invalid_request_error', param });
    expect(error?.message.startsWith(`${param}: `)).toBe(true);
  });

  it.each([{ a: 1 }, 'x', null])('lets no field choose the rules: constructor %j', (constructor) => {
    expect(refusal({ constructor, max_tokens: 0 })).toMatchObject({ param: 'max_tokens' });
    expect(refusal({ constructor, max_tokens: 1 })).toBeUndefined();
  });

  it.each([undefined, null, 'x', 7, [], [{}]])('refuses %j: it is no object', (body) => {
    expect(refusal(body)).toMatchObject({
      status: 400,
      param: null,
      message: 'The request body must be a JSON object.',
    });
  });

  it('checks an array that is kept as its bytes as it is, also when something else is wrong', () => {
    const body = { token_ids: new RawJson(Buffer.from('[1,2,3]'), 3), max_tokens: 1 };
    expect(() => validateBody(KeptBody, body)).not.toThrow();
    expect(() => validateBody(KeptBody, { ...body, max_tokens: 'x' })).toThrow(
      expect.objectContaining({ param: 'max_tokens' }),
    );
    expect(() => validateBody(KeptBody, { ...body, token_ids: new RawJson(Buffer.from('[]'), 0) })).toThrow(
      expect.objectContaining({ param: 'token_ids' }),
    );
  });

  it('does not let a body change a prototype', () => {
    expect(
      refusal(JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}')),
    ).toBeUndefined();
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});
