import type { Phase } from '@baton/coordination';
import type { RequestRecord } from '../../../apps/simulator/src/http/request-record.js';
import type { KvLife } from '../../../apps/simulator/src/ledger/kv-lives.js';
import type { SimulatorProcess } from '../../support/simulator-process.js';

export const PHASES: readonly Phase[] = [
  ...(['before_prefill', 'prefilling', 'gap', 'decode_sent', 'transferring', 'decoding', 'done'] as const),
];

/** What both engines know of a request. */
export interface Legs {
  readonly prefill: readonly RequestRecord[];
  readonly decode: readonly RequestRecord[];
  /** Its caches, on either side. */
  readonly lives: readonly KvLife[];
}

/** What happened to the KV of a request whose client left. */
export interface Aftermath {
  /** How far the request was when the client left: by what the engines did, not by what the coordinator knew of it. */
  readonly phase: Phase;
  /** From the client's leaving until the last of its caches was freed. Infinity: one still is not. */
  readonly strandedMs: number;
  /** What freed the cache of P; undefined when it had none. */
  readonly freedBy: string | undefined;
  /** From the client's leaving until D saw its own connection closed; undefined when it never did. */
  readonly abortMs: number | undefined;
  /** All tokens that D made. */
  readonly decodedTokens: number;
}

/** Everything that the engines have recorded, by the trace that a request belongs to. */
export async function legsByTrace(prefill: SimulatorProcess, decode: SimulatorProcess): Promise<Map<string, Legs>> {
  const recordsOf = async (simulator: SimulatorProcess): Promise<readonly RequestRecord[]> =>
    (await simulator.get('requests')) as unknown as readonly RequestRecord[];
  const livesOf = async (simulator: SimulatorProcess): Promise<readonly KvLife[]> =>
    (await simulator.get('kv')) as unknown as readonly KvLife[];
  const [ofPrefill, ofDecode, lives] = await Promise.all([
    recordsOf(prefill),
    recordsOf(decode),
    Promise.all([livesOf(prefill), livesOf(decode)]).then((both) => both.flat()),
  ]);
  const lifeOf = new Map(lives.map((life) => [life.id, life]));
  const traces = new Map<string, { prefill: RequestRecord[]; decode: RequestRecord[]; lives: KvLife[] }>();
  const note = (records: readonly RequestRecord[], side: 'prefill' | 'decode'): void => {
    for (const record of records) {
      const trace = traceIn(record);
      const legs = traces.get(trace) ?? { prefill: [], decode: [], lives: [] };
      legs[side].push(record);
      legs.lives.push(...record.legIds.flatMap((id) => lifeOf.get(id) ?? []));
      traces.set(trace, legs);
    }
  };
  note(ofPrefill, 'prefill');
  note(ofDecode, 'decode');
  return traces;
}

/** The second part of a `traceparent`, which every leg of a request has in common. */
const traceIn = ({ headers }: RequestRecord): string => String(headers['traceparent']).split('-')[1] ?? '';

/** What became of a request whose client left at `leftAtMs`. */
export function aftermathOf(legs: Legs, leftAtMs: number): Aftermath {
  const ends = legs.lives.map(({ freedAtMs = Infinity }) => freedAtMs);
  const own = new Set(legs.prefill.flatMap(({ legIds }) => legIds));
  const seen = legs.decode.map((record) => record.leftAtMs).filter((at) => at !== undefined);
  return {
    phase: phaseAt(legs, leftAtMs),
    strandedMs: Math.max(0, ...ends.map((end) => end - leftAtMs)),
    freedBy: legs.lives.findLast(({ id }) => own.has(id))?.freedBy,
    abortMs: seen.length === 0 ? undefined : Math.max(0, Math.min(...seen) - leftAtMs),
    decodedTokens: legs.decode.reduce((sum, { tokens }) => sum + tokens, 0),
  };
}

function phaseAt({ prefill, decode, lives }: Legs, at: number): Phase {
  const had = (records: readonly RequestRecord[], phase: RequestRecord['phase']): boolean =>
    records.some(({ enteredAtMs }) => (enteredAtMs[phase] ?? Infinity) <= at);
  const ownOf = (records: readonly RequestRecord[]): ReadonlySet<string> =>
    new Set(records.flatMap(({ legIds }) => legIds));
  const [ofPrefill, ofDecode] = [ownOf(prefill), ownOf(decode)];
  const livesOf = (own: ReadonlySet<string>): readonly KvLife[] => lives.filter(({ id }) => own.has(id));
  if (had(decode, 'finished')) return 'done';
  if (had(decode, 'prefill')) return 'decoding';
  const isMade = livesOf(ofPrefill).some(({ madeAtMs = Infinity }) => madeAtMs <= at);
  if (!isMade) return livesOf(ofPrefill).some((life) => life.allocatedAtMs <= at) ? 'prefilling' : 'before_prefill';
  if (had(decode, 'loading') && livesOf(ofDecode).some((life) => life.allocatedAtMs <= at)) return 'transferring';
  return had(decode, 'received') ? 'decode_sent' : 'gap';
}
