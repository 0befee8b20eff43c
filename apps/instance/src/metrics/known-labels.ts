import type {
  Phase,
  PluginEvent,
  PluginStatus,
  PolicyVersion,
  RejectionReason,
  Settlement,
  StreamEndReason,
} from '@baton/coordination';
import type { InferenceApi } from '@baton/inference';
import type { UnavailableReason } from '@baton/remotes';

/** Labels that are known before anything has happened. A record misses none of its words. */
export const words = <Word extends string>(known: Record<Word, true>): readonly Word[] => Object.keys(known) as Word[];

export const APIS = words<InferenceApi>({ completions: true, chat: true, generate: true });

export const END_REASONS = words<StreamEndReason>({
  complete: true,
  client_gone: true,
  client_stalled: true,
  client_error: true,
  upstream_error: true,
  upstream_error_event: true,
  upstream_aborted: true,
  upstream_incomplete: true,
  upstream_truncated: true,
  timeout_first_token: true,
  timeout_between_tokens: true,
  server_error: true,
  drain: true,
  aborted: true,
  rejected: true,
  deadline: true,
});

export const REJECTIONS = words<RejectionReason>({
  queue_full: true,
  wait_timeout: true,
  busy: true,
  drain: true,
  missing_api_key: true,
  invalid_api_key: true,
  peers_only: true,
  admin_only: true,
});

export const SETTLEMENTS = words<Settlement>({ taken: true, freed: true, lease_expired: true, unknown: true });

export const PHASES = words<Phase>({
  before_prefill: true,
  prefilling: true,
  gap: true,
  decode_sent: true,
  transferring: true,
  decoding: true,
  done: true,
});

export const POLICY_ACTIONS = words<PolicyVersion['action']>({ change: true, rollback: true });

export const PLUGIN_STATUSES = words<PluginStatus>({
  loaded: true,
  refused: true,
  switched_off: true,
  draining: true,
  unloaded: true,
});

export const LOAD_RESULTS = words<Extract<PluginEvent['action'], 'loaded' | 'replaced' | 'refused'>>({
  loaded: true,
  replaced: true,
  refused: true,
});

const FAILURES = { connect: true, reset: true, timeout: true, busy: true, failed: true } as const;

export const RETRY_REASONS: readonly string[] = words<Exclude<UnavailableReason, 'no_endpoint'>>(FAILURES);

export const FALLBACK_REASONS: readonly string[] = [...RETRY_REASONS, 'no_endpoint', 'bad_answer', 'refused'];
