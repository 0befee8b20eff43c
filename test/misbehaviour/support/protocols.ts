import type { Fault } from '../../../apps/simulator/src/faults/fault.js';
import type { SimulatedConnector } from '../../support/deployment.js';
import type { SimulatorFlags } from '../../support/simulator-process.js';
import { PROMPT } from './client.js';
import type { Counters } from './counters.js';

/** What the client hears: the answer of a pair that behaves, an empty one, or an error. */
export type Outcome = 'right' | 'empty' | { readonly status: number; readonly code: string | null };

/** A misbehaviour, and what comes of it. */
export interface Row {
  readonly what: string;
  /** Befalls one leg of the side. */
  readonly prefill?: Fault;
  readonly decode?: Fault;
  readonly prompt?: string;
  readonly heard: Outcome;
  /** Of an answer that is streamed, where it differs. */
  readonly streamed?: Outcome;
  readonly moved: Counters;
  readonly movedStreamed?: Counters;
  /** How many decode legs there are. */
  readonly decodes?: number;
  /** What P has kept, or pushed, is freed by its timeout alone. */
  readonly leasesMayStay?: true;
}

const ended = (reason: string, settled?: string): Counters => ({
  [`stream_end ${reason}`]: 1,
  ...(settled !== undefined && { [`handoffs_settled ${settled}`]: 1 }),
});
const error = (status: number, code: string | null): Outcome => ({ status, code });
const once = { times: 1 };

const complete = ended('complete');
const taken = ended('complete', 'taken');
const retried = { ...taken, 'prefill_retries busy': 1 };
const byPrefill = { ...complete, answered_by_prefill: 1 };
/** Of what nobody can free. */
export const LEASE_MS = 1_000;
const END_FIRST = `${PROMPT}<eos:0>`;

const abortedLater: Row = {
  what: 'D aborts after two tokens',
  decode: { kind: 'abort_terminal', afterTokens: 2, ...once },
  heard: error(502, 'upstream_aborted'),
  streamed: error(200, 'upstream_aborted'),
  moved: ended('upstream_aborted', 'unknown'),
  movedStreamed: ended('upstream_aborted', 'taken'),
};
const busyPrefill: Row = {
  what: 'P has no place: it is asked again, and D with it',
  prefill: { kind: 'admission_503', ...once },
  heard: 'right',
  moved: retried,
};

/** For protocols whose two sides run at once. */
const CONCURRENT: readonly Row[] = [
  {
    what: 'P aborts: nothing of D is shown, whatever it says',
    prefill: { kind: 'abort_terminal', ...once },
    heard: error(502, 'upstream_aborted'),
    moved: ended('upstream_aborted', 'freed'),
  },
  {
    what: 'P refuses: D, which would wait for it, is closed',
    prefill: { kind: 'http_status', status: 400, ...once },
    heard: error(400, null),
    moved: ended('client_error', 'freed'),
  },
  {
    what: 'P fails when D may have the KV: nothing of D is shown',
    prefill: { kind: 'error_frame', ...once },
    heard: error(502, 'remote_failed'),
    moved: ended('upstream_error', 'freed'),
  },
  {
    what: 'P is gone before its head: of its KV nobody knows',
    prefill: { kind: 'reset', at: 'head', ...once },
    heard: error(502, 'remote_reset'),
    moved: ended('upstream_error', 'unknown'),
  },
  { what: 'the prompt ends the answer', prompt: END_FIRST, heard: 'right', moved: taken, decodes: 1 },
  busyPrefill,
  abortedLater,
];

/** The misbehaviours of one protocol. */
export interface Protocol {
  readonly connector: SimulatedConnector;
  readonly flags?: { readonly prefill?: SimulatorFlags; readonly decode?: SimulatorFlags };
  readonly rows: readonly Row[];
}

/** What the protocols besides NIXL have of their own. */
export const PROTOCOLS: readonly Protocol[] = [
  {
    connector: 'mooncake',
    rows: [
      ...CONCURRENT,
      {
        what: "P's first token would end the answer: it must not drop its KV",
        prefill: { kind: 'eos_first', ...once },
        heard: 'right',
        moved: taken,
        decodes: 1,
      },
      {
        what: 'D does not get the KV',
        decode: { kind: 'kv_load_failure', ...once },
        heard: error(502, 'remote_failed'),
        streamed: error(502, 'upstream_error_event'),
        moved: ended('upstream_error', 'unknown'),
        movedStreamed: ended('upstream_error_event', 'unknown'),
      },
      {
        what: 'D refuses: another D leg takes the KV',
        decode: { kind: 'http_status', status: 400, ...once },
        heard: error(400, null),
        moved: ended('client_error', 'freed'),
        decodes: 2,
      },
      {
        what: 'D has no place: another D leg takes the KV',
        decode: { kind: 'admission_503', ...once },
        heard: error(503, 'remote_busy'),
        moved: ended('upstream_error', 'freed'),
        decodes: 2,
      },
    ],
  },
  {
    connector: 'sglang',
    rows: [
      ...CONCURRENT,
      {
        what: "P's first token ends the answer, and D repeats it",
        prefill: { kind: 'eos_first', ...once },
        heard: 'empty',
        moved: taken,
        decodes: 1,
      },
      {
        what: 'P sends no first token',
        prefill: { kind: 'missing_first_token', ...once },
        heard: 'right',
        moved: taken,
        decodes: 1,
      },
      {
        what: 'D refuses: P, which would wait for it, is closed',
        decode: { kind: 'http_status', status: 400, ...once },
        heard: error(400, null),
        moved: ended('client_error', 'unknown'),
        decodes: 1,
      },
      {
        what: 'D has no place: P is closed',
        decode: { kind: 'admission_503', ...once },
        heard: error(503, 'remote_busy'),
        moved: ended('upstream_error', 'unknown'),
        decodes: 1,
      },
    ],
  },
  {
    connector: 'trtllm',
    flags: { prefill: { 'kv-lease-ms': LEASE_MS } },
    rows: [
      {
        what: "P's first token ends the answer: no D",
        prefill: { kind: 'eos_first', ...once },
        heard: 'empty',
        moved: byPrefill,
        decodes: 0,
      },
      { what: 'the prompt ends the answer: no D', prompt: END_FIRST, heard: 'right', moved: byPrefill, decodes: 0 },
      {
        what: 'P hands over nothing',
        prefill: { kind: 'null_params', ...once },
        heard: error(502, 'bad_upstream_answer'),
        moved: ended('upstream_error'),
        decodes: 0,
      },
      {
        what: 'P tells no first token: no D can take its KV',
        prefill: { kind: 'missing_first_token', ...once },
        heard: error(502, 'remote_failed'),
        moved: ended('upstream_error', 'unknown'),
        leasesMayStay: true,
      },
      {
        what: 'P has dropped its KV: D says so',
        prefill: { kind: 'lease_expired', ...once },
        heard: error(502, 'remote_failed'),
        moved: ended('upstream_error', 'unknown'),
      },
      {
        what: 'D refuses: another D leg takes the KV',
        decode: { kind: 'http_status', status: 400, ...once },
        heard: error(400, null),
        moved: ended('client_error', 'freed'),
        decodes: 2,
      },
      { ...busyPrefill, what: 'P has no place: it is asked again', decodes: 1 },
      abortedLater,
    ],
  },
  {
    connector: 'lmcache',
    flags: { decode: { 'transfer-timeout-ms': LEASE_MS } },
    rows: [
      {
        what: "P's first token ends the answer: no D",
        prefill: { kind: 'eos_first', ...once },
        heard: 'empty',
        moved: byPrefill,
        decodes: 0,
        leasesMayStay: true,
      },
      {
        what: 'the prompt ends the answer: no D',
        prompt: END_FIRST,
        heard: 'right',
        moved: byPrefill,
        decodes: 0,
        leasesMayStay: true,
      },
      {
        what: 'P hands over nothing',
        prefill: { kind: 'null_params', ...once },
        heard: 'right',
        moved: { ...complete, no_handoff: 1 },
        decodes: 1,
      },
      {
        what: 'P tells no first token: D makes it again',
        prefill: { kind: 'missing_first_token', ...once },
        heard: 'right',
        moved: { ...complete, no_handoff: 1 },
        decodes: 1,
      },
      {
        what: 'P has pushed nothing: D reads the prompt itself',
        prefill: { kind: 'lease_expired', ...once },
        heard: 'right',
        moved: complete,
        decodes: 1,
      },
      { ...abortedLater, moved: ended('upstream_aborted'), movedStreamed: ended('upstream_aborted') },
    ],
  },
  {
    connector: 'shared-storage',
    rows: [
      {
        what: "P's first token ends the answer: no D",
        prefill: { kind: 'eos_first', ...once },
        heard: 'empty',
        moved: byPrefill,
        decodes: 0,
      },
      { what: 'the prompt ends the answer: no D', prompt: END_FIRST, heard: 'right', moved: byPrefill, decodes: 0 },
      { ...abortedLater, moved: ended('upstream_aborted'), movedStreamed: ended('upstream_aborted') },
    ],
  },
];
