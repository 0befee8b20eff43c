/** What the name of a field says of its value. */
export interface FieldKind {
  /** It is named as fields of an API are. Others may be anything, also a text. */
  readonly isName: boolean;
  /** Its value is of users or applications. */
  readonly isContent: boolean;
  /** Its value is a name or an id that is none of users or applications. */
  readonly isIdentifier: boolean;
  /** Its value names a handoff. */
  readonly isHandoff: boolean;
  /** A list under this name is of tokens. */
  readonly isTokens: boolean;
  /** A number under this name is a token. */
  readonly isToken: boolean;
}

const KNOWN = new Map<string, FieldKind>();
/** Clients name their fields as they like. */
const MAX_KNOWN = 1_024;

/** Every request has the same few names, so that each is looked at once. */
export function fieldKind(name: string): FieldKind {
  const known = KNOWN.get(name);
  if (known !== undefined) return known;
  const kind: FieldKind = {
    isName: NAME.test(name),
    isContent: CONTENT.has(name),
    isIdentifier: IDENTIFIERS.has(name),
    isHandoff: HANDOFF.has(name),
    isTokens: TOKENS.test(name),
    isToken: ONE_TOKEN.test(name),
  };
  if (kind.isName && KNOWN.size < MAX_KNOWN) KNOWN.set(name, kind);
  return kind;
}

const NAME = /^[A-Za-z_][\w.-]{0,63}$/;
/** Under whatever name; none of them is needed to see how a request was edited. */
const TOKENS = /tok(?:en)?(?:s|_ids|_id_list)?$/i;
/** One that was generated, as some protocols hand it over. */
const ONE_TOKEN = /(?:^|_)tok(?:en)?(?:_id)?$/i;

/** Fields of the request protocols, and of their extensions, that hold what users and applications have written. */
const CONTENT: ReadonlySet<string> = new Set([
  ...['prompt', 'prompts', 'messages', 'message', 'content', 'text', 'texts', 'input', 'inputs', 'input_ids', 'suffix'],
  ...['token_ids', 'prompt_token_ids', 'prompt_embeds', 'input_embeds', 'documents', 'query', 'echo_text', 'prefix'],
  ...['images', 'image', 'image_url', 'image_data', 'audio', 'video', 'file', 'files', 'multi_modal_data', 'features'],
  ...[
    'tools',
    'functions',
    'tool_calls',
    'function_call',
    'arguments',
    'tool_choice',
    'prediction',
    'reasoning_content',
  ],
  ...['response_format', 'json_schema', 'schema', 'regex', 'ebnf', 'grammar', 'structural_tag', 'structured_outputs'],
  ...['guided_json', 'guided_regex', 'guided_grammar', 'guided_choice', 'chat_template', 'chat_template_kwargs'],
  ...['stop', 'bad_words', 'logit_bias', 'metadata', 'user', 'safety_identifier', 'prompt_cache_key', 'cache_salt'],
  ...['api_key', 'authorization', 'key', 'password', 'secret', 'token', 'access_token'],
]);

/** Texts under other names may be anything, a password or a name as well. */
const IDENTIFIERS: ReadonlySet<string> = new Set([
  ...['model', 'id', 'rid', 'request_id', 'object', 'service_tier', 'reasoning_effort'],
  ...['bootstrap_host', 'bootstrap_port', 'bootstrap_room'],
]);

/** Fields that name a handoff. */
const HANDOFF: ReadonlySet<string> = new Set([
  ...['kv_transfer_params', 'ec_transfer_params', 'disaggregated_params', 'disagg_prefill_resp'],
  ...['remote_prefiller', 'remote_decoder', 'lmcache'],
]);
