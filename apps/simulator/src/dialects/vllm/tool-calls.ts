import { isObject, objectOf, stringOf, type JsonObject } from '../../json.js';

/** The arguments of a simulated call: one field with the answer's words. Only an answer that stops closes it. */
const OPEN = '{"text":"';
const CLOSE = '"}';

/** The function that the request wants called: the one it names, the first when it requires any. */
export function forcedTool(body: JsonObject): string | undefined {
  const { tools, tool_choice: choice } = body;
  const first: unknown = Array.isArray(tools) ? tools[0] : undefined;
  if (choice === 'required') return stringOf(objectOf(objectOf(first)?.['function'])?.['name']);
  return isObject(choice) ? stringOf(objectOf(choice['function'])?.['name']) : undefined;
}

const callId = (id: string, index: number): string => `call-${id}-${index}`;

/** A call as a whole message has it. */
export const wholeCall = (name: string, id: string, index: number, text: string, stopped: boolean): JsonObject => ({
  id: callId(id, index),
  type: 'function',
  function: { name, arguments: OPEN + text + (stopped ? CLOSE : '') },
});

/** The beginning of a call in a stream. */
export const firstCallDelta = (name: string, id: string, index: number): JsonObject => ({
  tool_calls: [{ index: 0, id: callId(id, index), type: 'function', function: { name, arguments: OPEN } }],
});

/** More of a call. */
export const nextCallDelta = (text: string, stopped: boolean): JsonObject => ({
  tool_calls: [{ index: 0, function: { arguments: text + (stopped ? CLOSE : '') } }],
});
