import { isMap } from './condition-fields.js';
import { changed, POLICY_FIELDS } from './manager-policy.js';
import { readPolicyChanges } from './policy-change.js';
import type { PolicyDifference, PolicyVersion } from './policy-state.js';

/** What the files say of their own shape; others are foreign. */
const FORMAT = 1;
const MAX_TEXT = 4_096;

/** A version as the text of its file. */
export function policyText({ overrides, ...version }: PolicyVersion): string {
  const managers = [...overrides].map(([name, override]) => ({ name, ...override }));
  return `${JSON.stringify({ format: FORMAT, ...version, managers }, null, 2)}\n`;
}

/**
 * A version out of the text of a file.
 *
 * @param number what the name of the file says.
 * @throws Error that says what is wrong with it.
 */
export function readPolicyText(text: string, number: number): PolicyVersion {
  const content: unknown = JSON.parse(text);
  if (!isMap(content) || content['format'] !== FORMAT) throw new Error(`It is not of format ${FORMAT}.`);
  const { version, at, who, reason, action, diff, snapshot, managers } = content;
  if (version !== number) throw new Error('The version that it holds is not that of its name.');
  if (action !== 'change' && action !== 'rollback') throw new Error('"action" is neither change nor rollback.');
  const changes = Array.isArray(managers) && managers.length === 0 ? [] : readPolicyChanges(managers);
  return {
    version: number,
    at: textOf(at, 'at'),
    who: textOf(who, 'who'),
    reason: reason === undefined ? undefined : textOf(reason, 'reason'),
    action,
    diff: differencesOf(diff),
    snapshot: textOf(snapshot, 'snapshot'),
    overrides: changed(new Map(), changes),
  };
}

function textOf(value: unknown, member: string): string {
  if (typeof value === 'string' && value.length <= MAX_TEXT) return value;
  throw new Error(`"${member}" is no text of at most ${MAX_TEXT} characters.`);
}

function differencesOf(value: unknown): readonly PolicyDifference[] {
  if (!Array.isArray(value)) throw new Error('"diff" is no list.');
  return (value as readonly unknown[]).map((item) => {
    const { manager, field, from, to } = isMap(item) ? item : {};
    const known = POLICY_FIELDS.find((name) => name === field);
    if (known === undefined) throw new Error('"diff" names a field that is not known.');
    return { manager: textOf(manager, 'diff.manager'), field: known, from: from ?? null, to: to ?? null };
  });
}
