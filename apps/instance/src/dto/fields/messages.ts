import { isJsonObject } from '@baton/inference';
import { refuse } from './checks.js';
import type { Check } from './field.js';

/** Who can speak text: the roles that the embedded engine takes. */
export const TEXT_ROLES: readonly string[] = ['system', 'developer', 'user', 'assistant'];

/**
 * `messages` of the chat API: at least one, each with a role and content. Roles and parts besides those of text (tools,
 * images, what a chat template knows) are for engine servers; the embedded engine refuses them.
 */
export const isMessages: Check = (value, path) => {
  if (!Array.isArray(value)) refuse(path, 'must be a list of messages');
  if (value.length === 0) refuse(path, 'must not be empty');
  for (let index = 0; index < value.length; index += 1) checkMessage(value[index], `${path}[${index}]`);
};

function checkMessage(message: unknown, path: string): void {
  if (!isJsonObject(message)) refuse(path, 'must be an object');
  const role = message['role'];
  if (typeof role !== 'string' || role === '') refuse(`${path}.role`, 'must be a string such as user');
  const content = message['content'];
  if (typeof content === 'string') return;
  // An assistant's turn may consist of tool calls alone.
  if ((content === null || content === undefined) && role === 'assistant') return;
  if (!Array.isArray(content)) refuse(`${path}.content`, 'must be a string or a list of parts');
  for (let index = 0; index < content.length; index += 1) checkPart(content[index], `${path}.content[${index}]`);
}

function checkPart(part: unknown, path: string): void {
  if (!isJsonObject(part)) refuse(path, 'must be an object');
  if (typeof part['type'] !== 'string') refuse(`${path}.type`, 'must be a string such as text');
  if (part['type'] === 'text' && typeof part['text'] !== 'string') refuse(`${path}.text`, 'must be a string');
}
