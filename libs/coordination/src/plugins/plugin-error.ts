import { InferenceError } from '@baton/inference';

/** What is wrong with a plugin, or with what was asked of the host; for programs. */
export type PluginErrorCode =
  | 'plugin_not_found'
  | 'plugin_in_use'
  | 'plugin_busy'
  | 'plugin_invalid_manifest'
  | 'plugin_api_version'
  | 'plugin_engines'
  | 'plugin_duplicate_name'
  | 'plugin_entry_outside'
  | 'plugin_entry_missing'
  | 'plugin_link_outside'
  | 'plugin_special_file'
  | 'plugin_writable_by_all'
  | 'plugin_unreadable'
  | 'plugin_own_host_copy'
  | 'plugin_missing_peer'
  | 'plugin_peer_version'
  | 'plugin_hash_mismatch'
  | 'plugin_import_failed'
  | 'plugin_no_module'
  | 'plugin_invalid_options'
  | 'plugin_init_failed'
  | 'plugin_timeout'
  | 'plugin_provides_mismatch'
  | 'plugin_invalid_provider'
  | 'plugin_probe_failed'
  | 'plugin_too_large'
  | 'plugin_load_limit'
  | 'plugin_failed';

/** What a {@link PluginError} says. */
export interface PluginErrorOptions {
  /** The plugin's name, or that of its directory when it has none. */
  readonly plugin: string;
  readonly code: PluginErrorCode;
  /** What is wrong: goes on after `Plugin <name>: `. */
  readonly reason: string;
  /** What whoever operates or writes it can do: a sentence. */
  readonly fix: string;
  readonly cause?: unknown;
}

const STATUS: Partial<Record<PluginErrorCode, number>> = {
  plugin_not_found: 404,
  plugin_in_use: 409,
  plugin_busy: 503,
};

/** A plugin that is not loaded, or not unloaded, and why. Its message has plugin, reason and fix. */
export class PluginError extends InferenceError {
  readonly plugin: string;
  readonly reason: string;
  readonly fix: string;
  override readonly code: PluginErrorCode;

  constructor({ plugin, code, reason, fix, cause }: PluginErrorOptions) {
    const said = reason.trim().replace(/\.+$/, '');
    super(`Plugin ${plugin}: ${said}. ${fix}`, {
      status: STATUS[code] ?? 422,
      code,
      cause,
      ...(code === 'plugin_busy' && { retryAfterSeconds: 1 }),
    });
    this.plugin = plugin;
    this.reason = said;
    this.fix = fix;
    this.code = code;
  }
}
