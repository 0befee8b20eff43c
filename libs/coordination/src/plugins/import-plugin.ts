import { Injectable, type DynamicModule, type Type } from '@nestjs/common';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { PluginManifest } from './manifest.js';
import { PluginError } from './plugin-error.js';
import { saidBy, spoken, within } from './within.js';

/** What a plugin's module exports, as far as the host looks. */
export interface PluginExports {
  /** The default export. */
  readonly module: Type | DynamicModule;
  /** The export `pluginOptions`. */
  readonly pluginOptions: unknown;
}

/** Imports files. Replace it where the process has another way to do so. */
@Injectable()
export class PluginImporter {
  /** @returns the namespace of the module. */
  async import(file: string): Promise<unknown> {
    return import(pathToFileURL(file).href) as Promise<unknown>;
  }
}

/**
 * Runs the module of a plugin that is staged in `directory`.
 *
 * @throws PluginError 422 `plugin_entry_missing`, `plugin_import_failed`, `plugin_timeout`, `plugin_no_module`
 */
export async function importPlugin(
  { name: plugin, entry }: PluginManifest,
  directory: string,
  importer: PluginImporter,
  timeoutMs: number,
): Promise<PluginExports> {
  const late = (): PluginError =>
    new PluginError({
      plugin,
      code: 'plugin_timeout',
      reason: `its import did not end within ${spoken(timeoutMs)}`,
      fix: 'Do not wait for anything at the top level of its modules; wait in onModuleInit.',
    });
  const work = importer.import(join(directory, entry)).catch((error: unknown) => {
    throw importFailed(plugin, error);
  });
  return exportsOf(plugin, await within(work, timeoutMs, late));
}

/** @throws PluginError 422 `plugin_entry_missing`. Nothing of the plugin has run. */
export async function assertEntry({ name: plugin, entry }: PluginManifest, directory: string): Promise<void> {
  const isFile = await stat(join(directory, entry)).then(
    (found) => found.isFile(),
    () => false,
  );
  if (isFile) return;
  throw new PluginError({
    plugin,
    code: 'plugin_entry_missing',
    reason: `its entry ${entry} is not there`,
    fix: 'Build it, or name the file that is there in "exports".',
  });
}

function exportsOf(plugin: string, namespace: unknown): PluginExports {
  const own = memberOf(namespace, 'default');
  // A CommonJS module that was compiled from ES modules has its default export in its exports.
  const inner = memberOf(own, 'default');
  const module = isModule(inner) ? inner : own;
  const from = inner !== undefined && module === inner ? own : namespace;
  if (isModule(module)) return { module, pluginOptions: memberOf(from, 'pluginOptions') };
  throw new PluginError({
    plugin,
    code: 'plugin_no_module',
    reason:
      own === undefined
        ? 'it has no default export'
        : 'its default export is neither a Nest module nor a dynamic module',
    fix: 'Export a class that is decorated with @Module as the default.',
  });
}

function memberOf(value: unknown, name: string): unknown {
  const isHolder = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return isHolder ? (Reflect.get(value, name) as unknown) : undefined;
}

function isModule(value: unknown): value is Type | DynamicModule {
  return isClass(value) || (typeof value === 'object' && value !== null && isClass(memberOf(value, 'module')));
}

const isClass = (value: unknown): boolean => typeof value === 'function' && memberOf(value, 'prototype') !== undefined;

function importFailed(plugin: string, error: unknown): PluginError {
  const said = saidBy(error);
  const [, missing] = /Cannot find package '([^']+)'/.exec(said) ?? [];
  return new PluginError({
    plugin,
    code: 'plugin_import_failed',
    reason: `its import failed (${said})`,
    fix:
      missing === undefined
        ? 'Mend its code; whoever wrote it finds more in the log.'
        : `Name ${missing} in "peerDependencies" when the host has it, or bring it in the node_modules of the plugin.`,
    cause: error,
  });
}
