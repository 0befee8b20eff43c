import { InferenceError, isJsonObject } from '@baton/inference';
import { catchError, isObservable, throwError, timeout, TimeoutError, type Observable } from 'rxjs';
import { ContainedFault, errorOf, type Containment } from './containment.js';

/** What is asked of one method of a plugin's connector or dialect. */
interface CallRule {
  /** What it must answer; its throws and the failures of an Observable are faults without this. */
  readonly answers?: (answer: unknown) => boolean;
  /** It is not called any more once the plugin is switched off. */
  readonly begins?: boolean;
  /** Its Observable has to emit, or complete, within {@link Containment.firstPartTimeoutMs}. */
  readonly isBounded?: boolean;
  /** What its answer is asked itself. */
  readonly inner?: CallRules;
}

/** By the method's name; a method without a rule is passed through. */
export type CallRules = Readonly<Record<string, CallRule>>;

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
const isLeg = (value: unknown): boolean => isObject(value) && 'body' in value && isJsonObject(value.body);
const isHandoff = (value: unknown): boolean => isObject(value) && 'params' in value && isJsonObject(value.params);
const isCall = (value: unknown): boolean => isLeg(value) && isObject(value) && 'path' in value;
const orNothing =
  (isRight: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === undefined || isRight(value);

/** Of a `KvConnector`. What frees the KV is called in any case. */
export const CONNECTOR_CALLS: CallRules = {
  rendezvous: { answers: isObservable, begins: true, isBounded: true },
  prefillLeg: { answers: isLeg, begins: true },
  handoffOf: { answers: orNothing(isHandoff) },
  decodeLeg: { answers: isLeg },
  shareOf: { answers: isObject },
  assertTakes: { answers: isObservable, isBounded: true },
  rescueLeg: { answers: isLeg },
  release: { answers: isObservable },
};

/** Of a `Dialect`. */
export const DIALECT_CALLS: CallRules = {
  call: { answers: isCall, begins: true },
  abort: { answers: orNothing(isCall) },
  translator: {
    answers: orNothing(isObject),
    inner: { whole: { answers: isJsonObject }, event: { answers: Array.isArray }, isWhole: {} },
  },
};

const originals = new WeakMap<object, object>();

/**
 * A plugin's connector or dialect whose faults are told of, and fail with a {@link ContainedFault}. What it fails with on
 * purpose (an `InferenceError`) is passed on.
 */
export function containedCalls<Provision extends object>(
  provision: Provision,
  rules: CallRules,
  containment: Containment,
): Provision {
  const wrapped = new Map<PropertyKey, unknown>();
  const proxy = new Proxy(provision, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function' || key === 'constructor') return value;
      if (!wrapped.has(key)) {
        const rule = typeof key === 'string' && Object.hasOwn(rules, key) ? rules[key] : undefined;
        const call = (...args: unknown[]): unknown => Reflect.apply(value, target, args);
        wrapped.set(key, rule === undefined ? call : guarded(String(key), call, rule, containment));
      }
      return wrapped.get(key);
    },
  });
  originals.set(proxy, provision);
  return proxy;
}

/** What {@link containedCalls} was made of, to be asked where its faults are nobody's; anything else as it is. */
export function uncontained<Provision extends object>(provision: Provision): Provision {
  return (originals.get(provision) as Provision | undefined) ?? provision;
}

function guarded(
  method: string,
  call: (...args: unknown[]) => unknown,
  { answers = () => true, begins = false, isBounded = false, inner }: CallRule,
  containment: Containment,
): (...args: unknown[]) => unknown {
  const { firstPartTimeoutMs: first } = containment;
  const faultOf = (error: unknown): Error => {
    if (error instanceof InferenceError || error instanceof ContainedFault) return error;
    const fault =
      error instanceof TimeoutError ? new Error(`${method} did not answer within ${first} ms.`) : errorOf(error);
    containment.onFault(fault);
    return new ContainedFault(fault.message, { cause: fault });
  };
  const watched = (answer: Observable<unknown>): Observable<unknown> =>
    (isBounded ? answer.pipe(timeout({ first })) : answer).pipe(
      catchError((error) => throwError(() => faultOf(error))),
    );
  return (...args) => {
    if (begins && containment.isOff) throw new ContainedFault('Its plugin had too many faults.');
    try {
      const answer = call(...args);
      if (!answers(answer)) throw new TypeError(`${method} answered with something that is no answer to it.`);
      if (isObservable(answer)) return watched(answer);
      return inner !== undefined && isObject(answer) ? containedCalls(answer, inner, containment) : answer;
    } catch (error) {
      throw faultOf(error);
    }
  };
}
