import { expectObject, invalidRequest, isJsonObject } from '@baton/inference';

/** A message of a chat. */
export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

const ROLES: Readonly<Record<string, ChatMessage['role']>> = {
  system: 'system',
  // OpenAI's newer word for the same.
  developer: 'system',
  user: 'user',
  assistant: 'assistant',
};

/** Reads `messages`. @throws InferenceError 400 that names the message and field at fault. */
export function readMessages(value: unknown): ChatMessage[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw invalidRequest('messages must be an array with at least one message.', 'messages');
  }
  return value.map((item: unknown, index) => {
    const path = `messages[${index}]`;
    const message = expectObject(item, path);
    const role =
      typeof message['role'] === 'string' && Object.hasOwn(ROLES, message['role']) ? ROLES[message['role']] : undefined;
    if (role === undefined) {
      throw invalidRequest(`${path}.role must be one of ${Object.keys(ROLES).join(', ')}.`, `${path}.role`);
    }
    return { role, content: readContent(message['content'], `${path}.content`) };
  });
}

function readContent(value: unknown, path: string): string {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) throw invalidRequest(`${path} must be a string or an array of text parts.`, path);
  return value
    .map((part: unknown, index) => {
      if (isJsonObject(part) && part['type'] === 'text' && typeof part['text'] === 'string') return part['text'];
      throw invalidRequest(
        `${path}[${index}] must be {"type":"text","text":"..."}: this model reads only text.`,
        `${path}[${index}]`,
      );
    })
    .join('');
}
