import { isJsonObject } from '@baton/inference';
import { plainToInstance } from 'class-transformer';
import { validate, type ValidationError } from 'class-validator';
import { PluginError } from './plugin-error.js';
import { saidBy, spoken, within } from './within.js';

/** What a schema of the Standard Schema specification says of a value. */
interface StandardResult {
  readonly value?: unknown;
  readonly issues?: readonly {
    readonly message: string;
    readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[];
  }[];
}

/**
 * The options of a plugin as its `pluginOptions` has them: a class with class-validator's decorators, or a Standard Schema.
 *
 * @param schema what it exports; undefined when it takes no options.
 * @param configured what the configuration says; undefined when it says nothing.
 * @throws PluginError 422 `plugin_invalid_options`, `plugin_timeout`; never with a value, which may be a secret.
 */
export async function readOptions(
  plugin: string,
  schema: unknown,
  configured: unknown,
  timeoutMs: number,
): Promise<unknown> {
  const raw: unknown = structuredClone(configured ?? {});
  if (!isJsonObject(raw)) throw invalid(plugin, ['they are no map'], 'Write a map of options.');
  if (schema === undefined) {
    if (Object.keys(raw).length === 0) return Object.freeze({});
    const names = Object.keys(raw).join(', ');
    throw invalid(plugin, [`it takes none, but has ${names}`], 'Remove them, or let it export pluginOptions.');
  }
  const late = (): PluginError =>
    new PluginError({
      plugin,
      code: 'plugin_timeout',
      reason: `the check of its options did not end within ${spoken(timeoutMs)}`,
      fix: 'Let pluginOptions check without waiting for anything.',
    });
  const check = isStandard(schema) ? byStandard(plugin, schema, raw) : byClass(plugin, schema, raw);
  return within(check, timeoutMs, late);
}

async function byClass(plugin: string, schema: unknown, raw: object): Promise<unknown> {
  if (typeof schema !== 'function') {
    throw invalid(plugin, ['its pluginOptions is neither a class nor a Standard Schema'], 'Export one of them.');
  }
  const [options, faults] = await guarded(plugin, async () => {
    const made: unknown = plainToInstance(schema as new () => object, raw);
    const found = await validate(made as object, {
      whitelist: true,
      forbidNonWhitelisted: true,
      forbidUnknownValues: false,
    });
    return [made, found.flatMap((fault) => messagesOf(fault))] as const;
  });
  if (faults.length > 0) throw invalid(plugin, faults);
  return options;
}

async function byStandard(plugin: string, schema: StandardSchema, raw: object): Promise<unknown> {
  const { value, issues } = await guarded(plugin, async () => schema['~standard'].validate(raw));
  if (issues === undefined) return value;
  throw invalid(
    plugin,
    issues.map(({ message, path = [] }) => {
      const keys = path.map((key) => String(typeof key === 'object' ? key.key : key));
      return [keys.join('.'), message].filter((text) => text !== '').join(': ');
    }),
  );
}

interface StandardSchema {
  readonly '~standard': { validate(value: unknown): StandardResult | Promise<StandardResult> };
}

function isStandard(schema: unknown): schema is StandardSchema {
  if ((typeof schema !== 'object' && typeof schema !== 'function') || schema === null) return false;
  const standard: unknown = Reflect.get(schema, '~standard');
  return typeof standard === 'object' && standard !== null && typeof Reflect.get(standard, 'validate') === 'function';
}

/** Checks are code of the plugin: what they throw is its fault. */
async function guarded<T>(plugin: string, check: () => Promise<T>): Promise<T> {
  try {
    return await check();
  } catch (error) {
    throw invalid(plugin, [`its pluginOptions threw (${saidBy(error)})`], 'Mend pluginOptions.', error);
  }
}

function messagesOf({ constraints = {}, children = [], property }: ValidationError): string[] {
  return [...Object.values(constraints), ...children.flatMap(messagesOf).map((message) => `${property}.${message}`)];
}

function invalid(
  plugin: string,
  faults: readonly string[],
  fix = `Change the options of ${plugin} in the configuration.`,
  cause?: unknown,
): PluginError {
  return new PluginError({
    plugin,
    code: 'plugin_invalid_options',
    reason: `its options are not allowed: ${faults.join('; ')}`,
    fix,
    cause,
  });
}
