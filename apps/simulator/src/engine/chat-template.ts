import { isObject, stringOf, type JsonObject } from '../json.js';
import { badRequest } from './engine-error.js';

/** How a conversation becomes a prompt. */
export interface ChatOptions {
  readonly addGenerationPrompt: boolean;
  /** The last message is not closed: the answer goes on with it. */
  readonly continueFinalMessage: boolean;
  readonly tools: readonly unknown[];
}

/** The prompt of a conversation, in the ChatML form. */
export function renderChat(messages: unknown, options: ChatOptions): string {
  const { addGenerationPrompt, continueFinalMessage, tools } = options;
  if (!Array.isArray(messages) || messages.length === 0)
    throw badRequest('messages must be a list with an item.', 'messages');
  if (addGenerationPrompt && continueFinalMessage)
    throw badRequest('Cannot set both `continue_final_message` and `add_generation_prompt` to True.');
  const head = tools.length === 0 ? '' : `<|im_start|>tools\n${JSON.stringify(tools)}<|im_end|>\n`;
  const parts = messages.map((message: unknown, index) => {
    if (!isObject(message) || stringOf(message['role']) === undefined)
      throw badRequest(`messages[${index}] needs a role.`, 'messages');
    const open = continueFinalMessage && index === messages.length - 1;
    return `<|im_start|>${String(message['role'])}\n${contentOf(message)}${open ? '' : '<|im_end|>\n'}`;
  });
  return head + parts.join('') + (addGenerationPrompt ? '<|im_start|>assistant\n' : '');
}

function contentOf({ content, tool_calls: calls }: JsonObject): string {
  const parts = Array.isArray(content) ? content : [content];
  const text = parts.map((part: unknown) => (isObject(part) ? partText(part) : (stringOf(part) ?? ''))).join('');
  return Array.isArray(calls) && calls.length > 0 ? text + JSON.stringify(calls) : text;
}

/** A picture or a sound is a mark with its address. */
function partText(part: JsonObject): string {
  const text = stringOf(part['text']);
  if (text !== undefined) return text;
  const type = stringOf(part['type']) ?? '';
  return `[${type}:${JSON.stringify(part[type] ?? null)}]`;
}
