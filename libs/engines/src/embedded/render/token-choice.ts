import { expectObject, invalidRequest, isJsonObject, type JsonObject } from '@baton/inference';
import { BodyFields } from '../request/body-fields.js';
import type { PlanContext } from '../request/request-plan.js';
import type { FinishReason } from '../run/choice-writer.js';
import type { SampleLogprobs, TokenLogprob } from '../run/logprobs.js';

/** One choice of an answer of the token endpoint, or a piece of it. */
export interface TokenChoice {
  readonly index: number;
  readonly tokenIds: readonly number[];
  readonly logprobs: readonly SampleLogprobs[] | undefined;
  readonly finishReason: FinishReason | null;
}

/** As many as the token endpoint gives at most. */
const MOST_TOP_LOGPROBS = 20;

/**
 * Reads a choice as `generateAnswer` writes it.
 *
 * @param path the choice's name in errors, `generate_response.choices[0]`.
 * @throws InferenceError 400 that names the field at fault.
 */
export function readTokenChoice(value: unknown, path: string, context: PlanContext): TokenChoice {
  const choice = expectObject(value, path);
  const fields = new BodyFields(choice, `${path}.`);
  return {
    index: fields.number('index', { min: 0, integer: true }) ?? 0,
    tokenIds: fields.has('token_ids') ? context.prompts.ids(choice['token_ids'], fields.path('token_ids')) : [],
    logprobs: readLogprobs(fields.object('logprobs'), fields.path('logprobs'), context),
    finishReason: readFinishReason(fields),
  };
}

function readFinishReason(fields: BodyFields): FinishReason | null {
  const reason = fields.string('finish_reason') ?? null;
  if (reason === null || reason === 'stop' || reason === 'length') return reason;
  const param = fields.path('finish_reason');
  throw invalidRequest(`${param} must be "stop", "length" or null: what ended otherwise is no answer.`, param);
}

function readLogprobs(
  logprobs: JsonObject | undefined,
  path: string,
  context: PlanContext,
): SampleLogprobs[] | undefined {
  const content = logprobs && new BodyFields(logprobs, `${path}.`).array('content');
  if (content === undefined) return undefined;
  const most = context.contextTokens;
  if (content.length > most)
    throw invalidRequest(`${path}.content must have at most ${most} items.`, `${path}.content`);
  return content.map((item, at) => {
    const itemPath = `${path}.content[${at}]`;
    const top = isJsonObject(item) ? (item['top_logprobs'] ?? []) : [];
    if (!Array.isArray(top) || top.length > MOST_TOP_LOGPROBS) {
      const param = `${itemPath}.top_logprobs`;
      throw invalidRequest(`${param} must be an array with at most ${MOST_TOP_LOGPROBS} items.`, param);
    }
    return {
      ...readLogprob(item, itemPath, context),
      // Of no use in the apis in text.
      rank: 0,
      top: top.map((one: unknown, rank) => readLogprob(one, `${itemPath}.top_logprobs[${rank}]`, context)),
    };
  });
}

function readLogprob(value: unknown, path: string, { vocabularySize }: PlanContext): TokenLogprob {
  const fields = new BodyFields(expectObject(value, path), `${path}.`);
  const token = fields.number('token_id', { min: 0, max: vocabularySize - 1, integer: true });
  const logprob = fields.number('logprob');
  if (token === undefined) throw invalidRequest(`${fields.path('token_id')} is missing.`, fields.path('token_id'));
  if (logprob === undefined) throw invalidRequest(`${fields.path('logprob')} is missing.`, fields.path('logprob'));
  return { token, logprob };
}
