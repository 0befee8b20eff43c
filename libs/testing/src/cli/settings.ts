import { isJsonObject, type JsonObject } from '@baton/inference';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ConnectorConformanceOptions } from '../conformance/connector/connector-options.js';
import type { ManagerConformanceOptions } from '../conformance/manager/manager-options.js';
import type { PickerConformanceOptions } from '../conformance/picker/picker-options.js';
import { UsageError } from './usage.js';

/** What the checks have to know of what a plugin provides, by name. The default export of its `conformance.mjs`. */
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
  const namespace: unknown = await import(pathToFileURL(path).href);
  const settings: unknown =
    isJsonObject(namespace) || typeof namespace === 'object' ? Reflect.get(namespace ?? {}, 'default') : undefined;
  if (!isSettings(settings))
    throw new UsageError(`${path} must export { managers, connectors, pickers } as the default.`);
  return settings;
}

/** Of what is inside, its author has the types. */
function isSettings(value: unknown): value is ConformanceSettings {
  const isKind = ([name, kind]: [string, unknown]): boolean => KINDS.includes(name) && isObjects(kind);
  return isJsonObject(value) && Object.entries(value).every(isKind);
}

const isObjects = (value: unknown): value is JsonObject =>
  isJsonObject(value) && Object.values(value).every(isJsonObject);
