import { isJsonObject, RawJson, type InferenceRequest } from '@baton/inference';

/** English text in the vocabularies of the field has about this many bytes a token. */
const BYTES_PER_TOKEN = 4;

/**
 * How long the prompt of a request is. Token ids are counted exactly and stand for four bytes each; text is measured in
 * UTF-8 bytes and stands for a token every four. Of a chat it is the text of the messages: the template, tools and
 * images are not counted. Several prompts in one request are added up.
 *
 * Nothing is looked at before it is asked for, and then once: a body may have millions of token ids.
 */
export class PromptSize {
  #measured: Measure | undefined;

  constructor(private readonly request: InferenceRequest) {}

  get tokens(): number {
    const { tokenIds, textBytes } = this.measured;
    return tokenIds + Math.ceil(textBytes / BYTES_PER_TOKEN);
  }

  get bytes(): number {
    const { tokenIds, textBytes } = this.measured;
    return tokenIds * BYTES_PER_TOKEN + textBytes;
  }

  private get measured(): Measure {
    return (this.#measured ??= measure(this.request));
  }
}

interface Measure {
  readonly tokenIds: number;
  readonly textBytes: number;
}

const NOTHING: Measure = { tokenIds: 0, textBytes: 0 };

function measure({ api, body }: InferenceRequest): Measure {
  if (api === 'generate') return promptMeasure(body['token_ids']);
  return api === 'chat' ? sum(body['messages'], messageMeasure) : promptsMeasure(body['prompt']);
}

/** One prompt, or a list of prompts. */
function promptsMeasure(prompt: unknown): Measure {
  return Array.isArray(prompt) && typeof prompt[0] !== 'number' ? sum(prompt, promptMeasure) : promptMeasure(prompt);
}

/** Text, or token ids. */
function promptMeasure(prompt: unknown): Measure {
  if (typeof prompt === 'string') return textMeasure(prompt);
  const isTokenIds = Array.isArray(prompt) || prompt instanceof RawJson;
  return isTokenIds ? { tokenIds: prompt.length, textBytes: 0 } : NOTHING;
}

function messageMeasure(message: unknown): Measure {
  const content = isJsonObject(message) ? message['content'] : undefined;
  return typeof content === 'string' ? textMeasure(content) : sum(content, partMeasure);
}

function partMeasure(part: unknown): Measure {
  const text = isJsonObject(part) ? part['text'] : undefined;
  return typeof text === 'string' ? textMeasure(text) : NOTHING;
}

function textMeasure(text: string): Measure {
  return { tokenIds: 0, textBytes: Buffer.byteLength(text) };
}

function sum(list: unknown, measureOf: (item: unknown) => Measure): Measure {
  if (!Array.isArray(list)) return NOTHING;
  let { tokenIds, textBytes } = NOTHING;
  for (const item of list as unknown[]) {
    const measured = measureOf(item);
    tokenIds += measured.tokenIds;
    textBytes += measured.textBytes;
  }
  return { tokenIds, textBytes };
}
