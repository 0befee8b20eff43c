import { isTrusted, type Caller, type InferenceError, type InferenceRequest } from '@baton/inference';
import { merge, Subject, type Observable } from 'rxjs';

/** Ends the answer of one request when it emits. */
export type AbortSwitch = Subject<InferenceError>;

/**
 * What the servers of the field put before the id that a request came with when they name its answer.
 * Source: vLLM `entrypoints`: token_in_token_out, chat_completion, completion.
 */
const ANSWER_PREFIXES = ['generate-tokens-', 'chatcmpl-', 'cmpl-'];

/** Keys of requests are UUIDs. */
const KEY_LENGTH = 36;

/** The answers that can be aborted, by every name under which a client may know them. */
export class AbortIndex {
  readonly #byId = new Map<string, Set<AbortSwitch>>();
  /** Apart from the ids: a client must not be able to take another's key for its id. */
  readonly #byKey = new Map<string, Set<AbortSwitch>>();
  readonly #idsOf = new WeakMap<AbortSwitch, Set<string>>();
  readonly #callerOf = new WeakMap<AbortSwitch, Caller>();

  /** Adds a request; the returned function takes it out again. */
  add(request: InferenceRequest): () => void {
    const aborted: AbortSwitch = new Subject();
    const ids = new Set(idsOf(request));
    put(this.#byKey, request.key, aborted);
    this.#idsOf.set(aborted, ids);
    this.#callerOf.set(aborted, request.caller);
    for (const id of ids) put(this.#byId, id, aborted);
    return () => {
      take(this.#byKey, request.key, aborted);
      for (const id of ids) take(this.#byId, id, aborted);
    };
  }

  /** Has `request` found by `id` as well, which its answer carries, until it is taken out. */
  alsoKnownAs({ key }: InferenceRequest, id: string): void {
    for (const aborted of this.#byKey.get(key) ?? []) {
      this.#idsOf.get(aborted)?.add(id);
      put(this.#byId, id, aborted);
    }
  }

  /** Emits when `request` is aborted. */
  aborted({ key }: InferenceRequest): Observable<InferenceError> {
    return merge(...(this.#byKey.get(key) ?? []));
  }

  /**
   * Whom an id means: one that a client sent, one that its answer carried, or a request's key. Of others than `caller` only
   * when it is trusted.
   */
  find(id: string, caller: Caller): ReadonlySet<AbortSwitch> {
    const prefix = ANSWER_PREFIXES.find((candidate) => id.startsWith(candidate)) ?? '';
    const bare = id.slice(prefix.length);
    const key = keyOf(bare);
    const meant = [
      ...(this.#byId.get(id) ?? []),
      ...(this.#byId.get(bare) ?? []),
      ...(key === undefined ? [] : (this.#byKey.get(key) ?? [])),
    ];
    return new Set(meant.filter((aborted) => mayEnd(caller, this.#callerOf.get(aborted))));
  }
}

function mayEnd(caller: Caller, owner: Caller | undefined): boolean {
  return isTrusted(caller) || (owner?.trust === caller.trust && owner.label === caller.label);
}

/** The client's id, and the one that a body may carry itself (vLLM's `request_id`), which its answer then repeats. */
function idsOf({ id, body }: InferenceRequest): string[] {
  const own = body['request_id'];
  return typeof own === 'string' && own !== '' ? [id, own] : [id];
}

/** An answer may carry the id of a leg, which is the key and more; what only begins like a key is none. */
function keyOf(bare: string): string | undefined {
  const isKey = bare.length === KEY_LENGTH || bare[KEY_LENGTH] === '-';
  return isKey ? bare.slice(0, KEY_LENGTH) : undefined;
}

function put(index: Map<string, Set<AbortSwitch>>, name: string, aborted: AbortSwitch): void {
  const named = index.get(name);
  if (named === undefined) index.set(name, new Set([aborted]));
  else named.add(aborted);
}

function take(index: Map<string, Set<AbortSwitch>>, name: string, aborted: AbortSwitch): void {
  const named = index.get(name);
  named?.delete(aborted);
  if (named?.size === 0) index.delete(name);
}
