/** A fixture that must not be loaded, and what is said of it. */
export interface BadPlugin {
  /** Its directory and its name. */
  readonly name: string;
  readonly code: string;
  /** What the reason has to say, so that an author knows what is meant. */
  readonly reason: RegExp;
}

/** Its manager begins to be bad only when it is asked: see `containment.e2e-spec.ts` for those. */
export const BAD_PLUGINS: readonly BadPlugin[] = [
  { name: 'throws-at-import', code: 'plugin_import_failed', reason: /The licence file is missing/ },
  { name: 'throws-in-constructor', code: 'plugin_init_failed', reason: /The constructor of this manager throws/ },
  { name: 'throws-in-on-module-init', code: 'plugin_init_failed', reason: /onModuleInit of this manager throws/ },
  { name: 'hangs-at-import', code: 'plugin_timeout', reason: /import.*1,?000 ms|1,?000 ms.*import/ },
  { name: 'hangs-in-on-module-init', code: 'plugin_timeout', reason: /1,?000 ms/ },
  { name: 'no-default-export', code: 'plugin_no_module', reason: /default/ },
  { name: 'wrong-api-version', code: 'plugin_api_version', reason: /\^99\.0\.0/ },
  { name: 'own-copy-of-nest-common', code: 'plugin_own_host_copy', reason: /@nestjs\/common/ },
  { name: 'link-out-of-folder', code: 'plugin_link_outside', reason: /secrets\.txt/ },
  { name: 'duplicate-name', code: 'plugin_duplicate_name', reason: /local/ },
  { name: 'invalid-options', code: 'plugin_invalid_options', reason: /limit/ },
];

/** Options of those whose options matter. */
export const BAD_OPTIONS = { 'invalid-options': { limit: 'many' } };
