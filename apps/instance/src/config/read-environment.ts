import { parseJson } from '@baton/inference';
import type { GivenSetting, Layer } from './layer.js';
import { LEAVES, type Leaf } from './leaves.js';

const PREFIX = 'BATON_';
/** Short for the setting that is overridden most. */
const MODEL_VARIABLE = 'BATON_MODEL';
const MODEL_KEY = 'engine.model';
/** Of the pair, whose instances are started from the same environment. */
const OTHERS = ['BATON_PREFILL_PORT', 'BATON_DECODE_PORT'];

/** The settings that `BATON_*` variables give. */
export function readEnvironment(env: NodeJS.ProcessEnv): Layer {
  const settings: GivenSetting[] = [];
  const problems: string[] = [];
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || text === undefined || OTHERS.includes(variable)) continue;
    const leaf = LEAVES.find((candidate) =>
      variable === MODEL_VARIABLE ? candidate.key === MODEL_KEY : candidate.variable === variable,
    );
    if (leaf === undefined) problems.push(`${variable} (environment) is not a setting; --help lists them all.`);
    else settings.push({ leaf, value: read(leaf, text), source: variable });
  }
  const models = settings.filter(({ leaf }) => leaf.key === MODEL_KEY);
  if (new Set(models.map(({ value }) => value)).size > 1) {
    problems.push(`${models.map(({ source }) => source).join(' and ')} both set ${MODEL_KEY}, to different values.`);
  }
  return { settings, problems };
}

/** Text that is not of its setting's kind stays text, so that validation refuses it and shows it. */
function read(leaf: Leaf, text: string): unknown {
  const trimmed = text.trim();
  switch (leaf.kind) {
    case 'number':
      return /^-?\d+(\.\d+)?$/.test(trimmed) ? Number(trimmed) : text;
    case 'boolean':
      return trimmed === 'true' ? true : trimmed === 'false' ? false : text;
    case 'json':
      return trimmed === '' ? leaf.defaultValue : fromJson(text);
    case 'list':
      return trimmed === '' ? [] : trimmed.split(',').map((item) => item.trim());
    case 'text':
      return text;
  }
}

function fromJson(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}
