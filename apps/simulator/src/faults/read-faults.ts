import { badRequest } from '../engine/engine-error.js';
import { isObject } from '../json.js';
import type { Fault, FaultKind } from './fault.js';

/** Every kind, and the fields it cannot do without. */
const KINDS: Readonly<Record<FaultKind, readonly string[]>> = {
  null_params: [],
  drop_param_keys: ['keys'],
  extra_params: ['params'],
  ignore_top_level_params: [],
  ignore_extra_args_params: [],
  eos_first: [],
  lease_expired: [],
  kv_load_failure: [],
  missing_first_token: [],
  http_status: ['status'],
  admission_503: [],
  reset: [],
  cut: [],
  malformed_json: [],
  done_only: [],
  no_finish_reason: [],
  abort_terminal: [],
  error_frame: [],
  malformed_event: [],
  sse_comments: [],
  sse_framing: [],
  hang: ['at'],
  slow: ['at', 'ms'],
  ignore_disconnect: [],
  health_503: [],
};

const LEGS = ['prefill', 'decode', 'none', 'any'];
const PLACES = ['head', 'queue', 'prefill', 'load', 'token', 'done'];

/** The faults of a `PUT /sim/faults`; a body that no fault can be read from is refused, so that no test runs without. */
export function readFaults(body: unknown): Fault[] {
  if (!Array.isArray(body)) throw badRequest('The body must be a list of faults.');
  return body.map(readFault);
}

function readFault(value: unknown): Fault {
  if (!isFault(value))
    throw badRequest(`Not a fault: ${JSON.stringify(value)}. Kinds: ${Object.keys(KINDS).join(', ')}.`);
  return value;
}

function isFault(value: unknown): value is Fault {
  if (!isObject(value) || typeof value['kind'] !== 'string' || !Object.hasOwn(KINDS, value['kind'])) return false;
  const { kind, where, at } = value;
  const needs = Object.entries(KINDS).find(([name]) => name === kind)?.[1] ?? [];
  if (needs.some((field) => value[field] === undefined)) return false;
  if (needs.includes('at') && !PLACES.some((place) => place === at)) return false;
  return where === undefined || LEGS.some((leg) => leg === where);
}
