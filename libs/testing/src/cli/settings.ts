import { inferenceRequest, isJsonObject, type JsonObject } from '@baton/inference';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ConnectorConformanceOptions } from '../conformance/connector/connector-options.js';
import type { ManagerConformanceOptions } from '../conformance/manager/manager-options.js';
import type { PickerConformanceOptions } from '../conformance/picker/picker-options.js';
import { UsageError } from './usage.js';

/** What settings are written with: a plugin's folder is often in no project in which imports of Baton would be found. */
export interface SettingsKit {
  readonly inferenceRequest: typeof inferenceRequest;
}

/**
 * What the checks have to know of what a plugin provides, by name. The default export of its `conformance.mjs`, or what that
 * returns when it is a function of a {@link SettingsKit}.
 */
export interface ConformanceSettings {
  readonly managers?: Readonly<Record<string, ManagerConformanceOptions>>;
  readonly connectors?: Readonly<Record<string, ConnectorConformanceOptions>>;
  readonly pickers?: Readonly<Record<string, PickerConformanceOptions>>;
}

const KINDS = ['managers', 'connectors', 'pickers'];

/** @throws UsageError when the file is not there, or says something else. */
export async function readSettings(directory: string, file: string | undefined): Promise<ConformanceSettings> {
  const path = file === undefined ? join(directory, 'conformance.mjs') : resolve(file);
  if (!existsSync(path)) {
    if (file === undefined) return {};
    throw new UsageError(`--settings: there is no file ${file}.`);
  }
  const settings = await settingsIn(path);
  if (!isSettings(settings))
    throw new UsageError(
      `${path} must export { managers, connectors, pickers }, or a function that returns that, as the default.`,
    );
  return settings;
}

async function settingsIn(path: string): Promise<unknown> {
  try {
    const { default: said } = (await import(pathToFileURL(path).href)) as { readonly default: unknown };
    if (typeof said !== 'function') return said;
    const kit: SettingsKit = { inferenceRequest };
    return await (Reflect.apply(said, undefined, [kit]) as unknown);
  } catch (error) {
    throw new UsageError(`${path} failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Of what is inside, its author has the types. */
function isSettings(value: unknown): value is ConformanceSettings {
  const isKind = ([name, kind]: [string, unknown]): boolean => KINDS.includes(name) && isObjects(kind);
  return isJsonObject(value) && Object.entries(value).every(isKind);
}

const isObjects = (value: unknown): value is JsonObject =>
  isJsonObject(value) && Object.values(value).every(isJsonObject);
