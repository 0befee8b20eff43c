import { inferenceRequest, type InferenceRequest, type JsonObject } from '@baton/inference';

/** What a manager is asked for when its author says nothing else. */
export function chatRequest(stream: boolean): InferenceRequest {
  return inferenceRequest('chat', {
    model: 'fake-model',
    messages: [
      { role: 'system', content: 'Answer in short.' },
      { role: 'user', content: [{ type: 'text', text: 'Count to five.' }] },
    ],
    stream,
  });
}

/** Fields that a prefill leg has otherwise, and fields that nobody here knows, with an integer beyond 2^53. */
export function detailed(request: InferenceRequest): InferenceRequest {
  const isGenerate = request.api === 'generate';
  const limits: JsonObject = {
    max_tokens: 7,
    min_tokens: 2,
    n: 1,
    stop: ['END'],
    temperature: 0.5,
    seed: 9_007_199_254_740_993n,
    ...(request.stream ? { stream_options: { include_usage: true } } : {}),
  };
  const unknown = { x_vendor: { list: [1, { deep: true }], room: 1_152_921_504_606_846_977n } };
  return { ...request, body: { ...request.body, ...(isGenerate ? {} : limits), ...unknown } };
}

/** Requests of others' legs, and some that many managers leave to the next one. */
export function requestsToDecline(): readonly InferenceRequest[] {
  const { body } = chatRequest(true);
  return [
    ...legsOfOthers(),
    inferenceRequest('chat', { ...body, n: 2 }),
    inferenceRequest('completions', { model: 'fake-model', prompt: ['One', 'Two'], stream: false }),
    inferenceRequest('completions', { model: 'fake-model', prompt: 'One', max_tokens: 0, echo: true }),
  ];
}

/** Legs that somebody else coordinates. */
export function legsOfOthers(): readonly InferenceRequest[] {
  const { body } = chatRequest(true);
  const params = { do_remote_prefill: true, remote_request_id: 'other', remote_engine_id: 'other' };
  return [
    inferenceRequest('chat', { ...body }, { isLeg: true }),
    inferenceRequest('chat', { ...body, kv_transfer_params: params }),
    inferenceRequest(
      'completions',
      { model: 'fake-model', prompt: 'One', max_tokens: 1, stream: false },
      { isLeg: true },
    ),
  ];
}
