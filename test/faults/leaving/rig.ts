import { startDeployment, type Deployment } from '../../support/deployment.js';
import { eventually } from '../../support/eventually.js';
import type { SimulatorProcess } from '../../support/simulator-process.js';
import { ABANDONED_PREFILL_MS, RELEASE_TIMEOUT_MS, TRANSFER_TIMEOUT_MS, type LeavingConnector } from './plan.js';

/** The prompt has about 40 tokens: 40 ms of prefill, 20 ms of transfer, and 12 tokens in 48 ms. */
const LATENCIES = {
  'prefill-us-per-token': 1_000,
  'transfer-us-per-token': 500,
  'decode-us-per-token': 4_000,
} as const;

const SETTINGS = {
  BATON_COORDINATION_RELEASE_TIMEOUT_MS: String(RELEASE_TIMEOUT_MS),
  BATON_COORDINATION_TRANSFER_TIMEOUT_MS: String(TRANSFER_TIMEOUT_MS),
  BATON_COORDINATION_ABANDONED_PREFILL_MS: String(ABANDONED_PREFILL_MS),
  BATON_LOG_LEVEL: 'error',
};

export type SimulatedDeployment = Deployment<SimulatorProcess>;

/** A coordinator and two simulators, so slow that each phase of a request has a real share of its life. */
export async function startSimulatedRig(
  connector: Exclude<LeavingConnector, 'embedded'>,
  settings: Readonly<Record<string, string>> = {},
): Promise<SimulatedDeployment> {
  const deployment = await startDeployment({
    connector,
    manager: 'prefill-remote-decode-remote',
    flags: { prefill: LATENCIES, decode: LATENCIES },
    settings: { ...SETTINGS, ...settings },
  });
  await widen(deployment);
  return deployment;
}

/** P takes its time before it begins and before its finished answer goes out, D before it begins. */
export async function widen({ prefill, decode }: SimulatedDeployment): Promise<void> {
  await prefill.misbehave([
    { kind: 'slow', at: 'head', ms: 10 },
    { kind: 'slow', at: 'done', ms: 20 },
  ]);
  await decode.misbehave([{ kind: 'slow', at: 'head', ms: 15 }]);
}

/** Waits until nobody owes anything: the coordinator's books, and the blocks and places of both engines. */
export async function quiet(
  { instance, prefill, decode }: Pick<SimulatedDeployment, 'instance' | 'prefill' | 'decode'>,
  withinMs: number,
): Promise<number> {
  let held: unknown;
  const isQuiet = async (): Promise<boolean> => {
    const metric = await instance.metrics();
    const own = ['baton_inflight_requests', 'baton_handoffs_open'].map((name) => metric(name));
    const states = await Promise.all([prefill, decode].map((simulator) => simulator.get('state')));
    const ofEngines = states.map(({ running, waiting, openRequests, blocksFree, blocksTotal }) => [
      ...[running, waiting, openRequests],
      Number(blocksTotal) - Number(blocksFree),
    ]);
    held = { own, ofEngines };
    return [...own, ...ofEngines.flat()].every((count) => count === 0);
  };
  return eventually('nothing is held', isQuiet, withinMs).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(held)}`);
  });
}
