import { randomUUID } from 'node:crypto';
import { badRequest } from '../../engine/engine-error.js';
import type { Engine } from '../../engine/engine.js';
import type { Run } from '../../engine/run.js';
import type { Sampling } from '../../engine/sampling.js';
import { tokenize } from '../../engine/vocabulary.js';
import type { InferenceAnswer } from '../../http/answer.js';
import { faultOf } from '../../http/request-record.js';
import { idsOf, type JsonObject } from '../../json.js';
import type { KvLeg } from '../../kv/kv-transfer.js';
import type { KvPart } from '../openai/parts.js';
import type { OpenAiApi, OpenAiServer, ToldChoice } from '../openai/openai-server.js';
import { CHAT_NAMES, chatPrompt } from '../vllm/chat.js';
import { COMPLETION_NAMES, promptsOf } from '../vllm/completions.js';
import { wholeNumber } from '../vllm/fields.js';
import { samplingOf } from '../vllm/sampling.js';
import { legOf, paramsOf, sideSampling } from './disaggregated.js';
import type { TrtLlmOptions } from './trtllm-options.js';

/** Options of a stream are for streams alone. */
function assertStreamOptions(body: JsonObject): void {
  const streams = body['stream'] === true;
  if (!streams && body['stream_options'] !== undefined && body['stream_options'] !== null)
    throw badRequest('Stream options can only be defined when `stream=True`.', 'stream_options');
}

/** The endpoints of `trtllm-serve`, context and generation requests among them. */
export class TrtLlmOpenAi implements OpenAiServer {
  readonly model: string;
  /** Source: TensorRT-LLM `serve/postprocess_handlers.py`, completion_response_post_processor. */
  readonly echoes = 'text';

  constructor(
    readonly engine: Engine,
    readonly options: TrtLlmOptions,
  ) {
    this.model = options.model;
  }

  idOf(api: OpenAiApi): string {
    return `${api === 'chat' ? 'chatcmpl' : 'cmpl'}-${randomUUID().replaceAll('-', '')}`;
  }

  /** A generation request has the ids that its context made of the prompt. */
  promptsOf(api: OpenAiApi, body: JsonObject): number[][] {
    assertStreamOptions(body);
    if (api === 'completions') return promptsOf(body);
    const ids = idsOf(body['prompt_token_ids']);
    return [ids !== undefined && ids.length > 0 ? ids : tokenize(chatPrompt(body))];
  }

  samplingOf(api: OpenAiApi, body: JsonObject, promptTokens: number, kv: KvLeg | undefined): Sampling {
    // Their limits are read under both names in both APIs.
    const maxTokens = CHAT_NAMES.maxTokens;
    const names = api === 'chat' ? CHAT_NAMES : { ...COMPLETION_NAMES, maxTokens };
    return sideSampling(samplingOf(body, promptTokens, names, this.engine.options), kv);
  }

  kvOf({ body, exchange }: InferenceAnswer, _index: number, prompts: number): KvPart {
    const rank = this.engine.rankFor(`${wholeNumber(paramsOf(body) ?? {}, 'ctx_dp_rank', 0) ?? ''}`);
    const kv = this.engine.kv?.legFor({ headers: exchange.headers, params: paramsOf(body), body, rank });
    if (kv !== undefined && prompts > 1)
      throw badRequest('Several prompts are not supported in disaggregated serving.', 'prompt');
    return { kv, rank };
  }

  answerFields({ body }: InferenceAnswer, runs: readonly Run[]): JsonObject {
    return legOf(body) === 'prefill' ? { prompt_token_ids: runs[0]?.job.promptIds ?? null } : {};
  }

  choiceFields({ body, record }: InferenceAnswer, run: Run, choice: ToldChoice): JsonObject {
    const { ids, finish, stopReason } = choice;
    // Unless it is asked not to, it gives the text alone.
    const inIds = body['detokenize'] === false && body['messages'] === undefined;
    const handedOver = run.handedOver;
    const goesOn = handedOver !== undefined && finish === 'length' && faultOf(record, 'no_finish_reason') === undefined;
    return {
      ...(inIds && { text: '', token_ids: ids }),
      ...(finish !== undefined && { stop_reason: stopReason }),
      ...(goesOn && this.#wants(body) && { finish_reason: this.options.contextFinish ?? 'length' }),
      disaggregated_params: handedOver ?? null,
    };
  }

  /** Whether the client wants more than the token that the context has made. */
  #wants(body: JsonObject): boolean {
    return (wholeNumber(body, 'max_completion_tokens', 0) ?? wholeNumber(body, 'max_tokens', 0)) !== 1;
  }
}
