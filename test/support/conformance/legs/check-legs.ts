import { eventually } from '../../eventually.js';
import type { Deployment } from '../../deployment.js';
import type { SimulatorProcess } from '../../simulator-process.js';
import type { Asked } from '../ask.js';
import { differences, parseExactly } from '../json.js';
import type { ExpectedLeg, SeenLeg, Texts, Wire } from './wire.js';

/** Which legs the engines got. */
export type Legs = Readonly<Record<'prefill' | 'decode', readonly SeenLeg[]>>;

/** Reads what the engines were sent. A leg that only frees something may come when the client has its answer. */
export async function legsOf(deployment: Deployment<SimulatorProcess>, decodes: number): Promise<Legs> {
  let legs: Legs = { prefill: [], decode: [] };
  const areOver = async (): Promise<boolean> => {
    const [prefill, decode] = await Promise.all([seenBy(deployment.prefill), seenBy(deployment.decode)]);
    legs = { prefill, decode };
    return decode.length >= decodes && [...prefill, ...decode].every(({ outcome }) => outcome !== 'open');
  };
  await eventually('all legs are over', areOver, 2_000).catch(() => undefined);
  return legs;
}

async function seenBy(simulator: SimulatorProcess): Promise<readonly SeenLeg[]> {
  return parseExactly(await (await fetch(`${simulator.url}/sim/requests`)).text()) as SeenLeg[];
}

/** What the legs of one request are compared with. */
export interface LegCheck {
  readonly deployment: Deployment<SimulatorProcess>;
  readonly wire: Wire;
  readonly texts: Texts;
}

/** Where the legs of a request are others than its protocol wants them. */
export async function legProblems(check: LegCheck, { request, traceparent, id }: Asked, legs: Legs): Promise<string[]> {
  const { wire, deployment, texts } = check;
  const mine = (leg: SeenLeg): boolean => leg.headers['traceparent'] === traceparent;
  const [prefills, decodes] = [legs.prefill.filter(mine), legs.decode.filter(mine)];
  const [[prefill], [decode]] = [prefills, decodes];
  const counts = [
    ...differences(prefills.length, 1, 'legs at P'),
    ...differences(decodes.length, wire.decodes(request), 'legs at D'),
  ];
  if (prefill === undefined) return counts;
  const exchange = { request, prefill, decode, sides: deployment, texts };
  const found = [
    ...counts,
    ...differencesOf('P', prefill, await wire.prefill(exchange), { id, isStream: false, isRelease: false }),
    ...differences([prefill.outcome, prefill.status], ['complete', 200], 'P ended'),
    ...wire.ids(exchange),
  ];
  if (decode === undefined) return found;
  // It is streamed as the client wants it, and left as soon as it has freed what it was sent for.
  const isRelease = wire.answersByPrefill(request);
  const isStream = request.stream && !isRelease;
  return [
    ...found,
    ...differencesOf('D', decode, await wire.decode(exchange), { id, isStream, isRelease }),
    ...(isRelease ? [] : differences([decode.outcome, decode.status], ['complete', 200], 'D ended')),
  ];
}

/** Headers that every call has, or that are looked at elsewhere. */
const OF_THE_CALL = ['host', 'connection', 'content-length', 'traceparent', 'x-request-id', 'x-request-timeout-ms'];

/** What legs are told of a request that has half an hour, in ms: P's part of it at least, less what passed on the way. */
const TIME_LEFT_MS = { least: 1_430_000, most: 1_800_000 };

/** A leg that only frees KV is bound by no client's time. */
function timeProblems(side: string, leg: SeenLeg, isRelease: boolean): string[] {
  const told = leg.headers['x-request-timeout-ms'];
  if (isRelease) return differences(told, undefined, `${side} header x-request-timeout-ms`);
  const isSound = /^\d+$/.test(told ?? '') && Number(told) >= TIME_LEFT_MS.least && Number(told) <= TIME_LEFT_MS.most;
  return isSound ? [] : [`${side} header x-request-timeout-ms is ${String(told)}`];
}

function differencesOf(
  side: string,
  leg: SeenLeg,
  expected: ExpectedLeg,
  { id, isStream, isRelease }: { readonly id: string; readonly isStream: boolean; readonly isRelease: boolean },
): string[] {
  const headers = Object.fromEntries(Object.entries(leg.headers).filter(([name]) => !OF_THE_CALL.includes(name)));
  const expectedHeaders = {
    'content-type': 'application/json',
    accept: isStream ? 'text/event-stream' : 'application/json',
    'x-baton-leg': '1',
    'x-baton-hops': '1',
    ...expected.headers,
  };
  const own = leg.headers['x-request-id'] ?? '';
  return [
    ...differences(leg.path, expected.path, `${side} path`),
    ...differences(leg.body, expected.body).map((problem) => `${side} body: ${problem}`),
    ...timeProblems(side, leg, isRelease),
    ...differences(headers, expectedHeaders).map((problem) => `${side} header ${problem}`),
    ...(own.length < 32 || own.includes(id) ? [`${side} x-request-id is ${own}`] : []),
  ];
}
