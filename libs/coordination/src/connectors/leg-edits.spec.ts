import { RawJson, type InferenceApi, type JsonObject } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeBody, prefillBody, unstreamedBody, withKvTransferParams, withoutStops } from './leg-edits.js';

/** Everything the table of edits names, and things that it does not. */
const LIMITS = {
  max_tokens: 200,
  n: 1,
  best_of: 4,
  min_tokens: 5,
  logprobs: 3,
  prompt_logprobs: 2,
  stop: ['x'],
  stop_token_ids: [7],
  temperature: 0.5,
  unknown_field: { kept: [1, null] },
};
const BODIES: Record<InferenceApi, JsonObject> = {
  completions: { prompt: 'x', ...LIMITS, echo: true, stream: true, stream_options: { include_usage: true } },
  chat: {
    messages: [{ role: 'user', content: 'x' }],
    ...LIMITS,
    max_completion_tokens: 300,
    top_logprobs: 3,
    logprob_token_ids: [1],
    tools: [{ type: 'function' }],
    chat_template_kwargs: { a: 1 },
    stream: true,
    stream_options: {},
  },
  generate: { token_ids: [1, 2], cache_salt: 's', sampling_params: LIMITS, stream: true, stream_options: {} },
};
const KEPT = {
  n: 1,
  prompt_logprobs: 2,
  stop: ['x'],
  stop_token_ids: [7],
  temperature: 0.5,
  unknown_field: { kept: [1, null] },
};

describe('prefillBody', () => {
  it('asks completions for one token; an echo keeps its log probabilities', () => {
    expect(prefillBody('completions', BODIES.completions)).toEqual({
      prompt: 'x',
      ...KEPT,
      max_tokens: 1,
      logprobs: 3,
      echo: true,
      stream: false,
    });
    const { echo: _, ...body } = BODIES.completions;
    expect(prefillBody('completions', body)).toEqual({ prompt: 'x', ...KEPT, max_tokens: 1, stream: false });
  });

  it('asks chat for one token', () => {
    expect(prefillBody('chat', BODIES.chat)).toEqual({
      messages: [{ role: 'user', content: 'x' }],
      ...KEPT,
      max_tokens: 1,
      max_completion_tokens: 1,
      tools: [{ type: 'function' }],
      chat_template_kwargs: { a: 1 },
      stream: false,
    });
  });

  it('asks the token endpoint for one token, where it has its limits', () => {
    expect(prefillBody('generate', BODIES.generate)).toEqual({
      token_ids: [1, 2],
      cache_salt: 's',
      sampling_params: { ...KEPT, max_tokens: 1 },
      stream: false,
    });
  });

  it('adds only what makes it a prefill to a body that says little', () => {
    expect(prefillBody('completions', { prompt: 'x' })).toEqual({ prompt: 'x', max_tokens: 1, stream: false });
    expect(prefillBody('generate', { token_ids: [1] })).toEqual({
      token_ids: [1],
      stream: false,
      sampling_params: { max_tokens: 1 },
    });
  });

  it.each<[unknown, unknown, unknown]>([
    ['text', undefined, undefined],
    ['text', 2, 2],
    [[1, 2], undefined, 0],
    [[1, 2], null, 0],
    [[1, 2], 4, 4],
    [new RawJson(Buffer.from('[1,2]'), 2), undefined, 0],
  ])('asks for offsets that tell where the echo of %j with logprobs %j ends', (prompt, logprobs, asked) => {
    const body = prefillBody('completions', { prompt, echo: true, ...(logprobs === undefined ? {} : { logprobs }) });
    expect(body['logprobs']).toBe(asked);
  });

  it.each([
    [9, 1],
    [1, 1],
    [0, undefined],
    [undefined, undefined],
  ])('keeps what the first token says when it counts: min_tokens %j becomes %j', (asked, sent) => {
    const sampling = { min_tokens: asked, logprobs: 2, top_logprobs: 1, logprob_token_ids: [3] };
    expect(prefillBody('chat', sampling, { firstTokenCounts: true })).toEqual({
      ...{ logprobs: 2, top_logprobs: 1, logprob_token_ids: [3], max_tokens: 1, stream: false },
      ...(sent === undefined ? {} : { min_tokens: sent }),
    });
    const generate = prefillBody('generate', { sampling_params: { min_tokens: asked } }, { firstTokenCounts: true });
    expect(generate['sampling_params']).toEqual({ max_tokens: 1, ...(sent === undefined ? {} : { min_tokens: sent }) });
  });
});

describe('unstreamedBody', () => {
  it('takes the stream away and nothing else', () => {
    for (const [api, body] of cases()) {
      const { stream_options: _, ...rest } = body;
      expect(unstreamedBody(api, body)).toEqual({ ...rest, stream: false });
    }
  });
});

describe('decodeBody', () => {
  it('is the body of the client itself when P has nothing to answer alone', () => {
    for (const body of [{ prompt: 'x' }, { token_ids: [1] }, { token_ids: [1], sampling_params: { max_tokens: 3 } }]) {
      expect(decodeBody('generate', body)).toBe(body);
      expect(decodeBody('chat', body)).toBe(body);
    }
  });

  it('leaves out prompt_logprobs and echo, where the api has them', () => {
    const { prompt_logprobs: _, ...sampling } = LIMITS;
    expect(decodeBody('generate', BODIES.generate)).toEqual({ ...BODIES.generate, sampling_params: sampling });
    const { prompt_logprobs: __, echo: ___, ...completions } = BODIES.completions;
    expect(decodeBody('completions', BODIES.completions)).toEqual(completions);
  });
});

describe('withKvTransferParams', () => {
  const params = { do_remote_prefill: true, unknown: [1] };

  it('puts them at the top level', () => {
    expect(withKvTransferParams('chat', { a: 1, kv_transfer_params: { old: 1 } }, params)).toEqual({
      a: 1,
      kv_transfer_params: params,
    });
  });

  it('puts them into the extra args of the token endpoint too, beside what else is there', () => {
    const body = { token_ids: [1], sampling_params: { top_k: 1, extra_args: { other: 2, kv_transfer_params: {} } } };
    expect(withKvTransferParams('generate', body, params)).toEqual({
      token_ids: [1],
      kv_transfer_params: params,
      sampling_params: { top_k: 1, extra_args: { other: 2, kv_transfer_params: params } },
    });
    expect(withKvTransferParams('generate', {}, params)).toEqual({
      kv_transfer_params: params,
      sampling_params: { extra_args: { kv_transfer_params: params } },
    });
  });
});

describe('withoutStops', () => {
  it('lets nothing but the limit end the answer', () => {
    expect(withoutStops('chat', { max_tokens: 1, stop: 'x', stop_token_ids: [1], ignore_eos: false })).toEqual({
      max_tokens: 1,
      ignore_eos: true,
    });
    expect(withoutStops('generate', { stop: 'top', sampling_params: { stop: ['x'] } })).toEqual({
      stop: 'top',
      sampling_params: { ignore_eos: true },
    });
  });
});

describe('for any body', () => {
  const apis = fc.constantFrom<InferenceApi>('completions', 'chat', 'generate');
  const sampling = fc.record(
    {
      max_tokens: fc.nat(),
      max_completion_tokens: fc.nat(),
      min_tokens: fc.nat(),
      n: fc.nat(),
      best_of: fc.nat(),
      logprobs: fc.oneof(fc.nat(), fc.boolean(), fc.constant(null)),
      top_logprobs: fc.nat(),
      prompt_logprobs: fc.nat(),
      echo: fc.boolean(),
      stop: fc.string(),
      ignore_eos: fc.boolean(),
      extra_args: fc.dictionary(fc.string(), fc.jsonValue()),
    },
    { requiredKeys: [] },
  );
  const bodies = fc
    .tuple(
      fc.dictionary(fc.string(), fc.jsonValue()),
      sampling,
      fc.record(
        {
          prompt: fc.oneof(fc.string(), fc.array(fc.nat())),
          stream: fc.boolean(),
          stream_options: fc.jsonValue(),
          kv_transfer_params: fc.dictionary(fc.string(), fc.jsonValue()),
          sampling_params: sampling,
        },
        { requiredKeys: [] },
      ),
    )
    .map(([unknown, top, fixed]): Record<string, unknown> => ({ ...unknown, ...top, ...fixed }));

  it('the decode leg is the client body less two fields, whatever the prefill leg was, and the body stays as it was', () => {
    fc.assert(
      fc.property(apis, bodies, (api, body) => {
        const before = structuredClone(body);
        freeze(body);
        withKvTransferParams(api, withoutStops(api, prefillBody(api, body, { firstTokenCounts: true })), { a: 1 });
        const expected = structuredClone(before);
        const holder = api === 'generate' ? expected['sampling_params'] : expected;
        if (typeof holder === 'object' && holder !== null) {
          Reflect.deleteProperty(holder, 'prompt_logprobs');
          Reflect.deleteProperty(holder, 'echo');
        }
        expect(decodeBody(api, body)).toEqual(expected);
        expect(body).toEqual(before);
      }),
    );
  });

  it('the prefill leg makes one token, and keeps every field that the table does not name', () => {
    fc.assert(
      fc.property(apis, bodies, (api, body) => {
        const leg = prefillBody(api, freeze(body));
        const [own, edited] =
          api === 'generate' ? [body['sampling_params'] ?? {}, leg['sampling_params']] : [body, leg];
        const named = ['max_tokens', 'max_completion_tokens', 'n', 'min_tokens', 'best_of', 'logprobs', 'top_logprobs'];
        const others = Object.entries(own).filter(([key]) => !/^stream|^logprob/.test(key) && !named.includes(key));
        expect(edited).toMatchObject({ ...Object.fromEntries(others), max_tokens: 1 });
        expect(edited).not.toHaveProperty('min_tokens');
        expect(leg).toMatchObject({ stream: false });
        expect(leg).not.toHaveProperty('stream_options');
      }),
    );
  });
});

function cases(): [InferenceApi, JsonObject][] {
  return [
    ['completions', BODIES.completions],
    ['chat', BODIES.chat],
    ['generate', BODIES.generate],
  ];
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(freeze);
  return value;
}
