import { InferenceError, presentedKey, type KeyHeaders, type KeyRing } from '@baton/inference';

/** Who may read and free handoffs. */
export interface SideChannelAccess {
  /** The keys of other instances. Default: none. */
  readonly peers?: KeyRing;
  /** The key of this process itself, which frees handoffs of clients that have left. Default: none. */
  readonly own?: KeyRing;
  /** Whether a key is not needed. Default false. */
  readonly allowsKeyless?: boolean;
}

/** Why a request is refused: 401 `invalid_api_key`, or 403 `peers_only` where no key would help. Undefined: it is not. */
export function refusalOf(
  headers: KeyHeaders,
  { peers, own, allowsKeyless = false }: SideChannelAccess = {},
): InferenceError | undefined {
  const hasKeys = peers !== undefined && peers.size > 0;
  const key = presentedKey(headers);
  if (key !== undefined && (peers?.callerOf(key) ?? own?.callerOf(key)) !== undefined) return undefined;
  if (allowsKeyless && (key === undefined || !hasKeys)) return undefined;
  return hasKeys
    ? new InferenceError('This needs the API key of an instance.', { status: 401, code: 'invalid_api_key' })
    : new InferenceError('No instance may read KV here: no keys of peers are configured.', {
        status: 403,
        code: 'peers_only',
      });
}
