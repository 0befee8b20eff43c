import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Aggregated } from '../support/conformance/aggregated.js';
import { APIS } from '../support/conformance/cases.js';
import { runCell, type Outcome } from '../support/conformance/cell.js';
import { runEmbeddedCell } from '../support/conformance/embedded-cell.js';
import { WIRES } from '../support/conformance/legs/wires.js';
import { tableOf, type Row } from '../support/conformance/table.js';
import { viewOf } from '../support/conformance/view.js';
import {
  dialectOf,
  SIMULATED_CONNECTORS,
  SPLIT_MANAGERS,
  startAll,
  startDeployment,
  startEmbeddedDeployment,
  type Deployment,
} from '../support/deployment.js';
import type { InstanceProcess } from '../support/instance-process.js';
import type { SimulatorProcess } from '../support/simulator-process.js';

const CELLS = APIS.flatMap((api) => [false, true].map((stream) => ({ api, stream })));
const rows: Row[] = [];
const startedAt = performance.now();

/** Books a cell in the table, and fails when anything was wrong in it. */
async function book(row: Row, run: () => Promise<Outcome>): Promise<void> {
  row.cells += 1;
  row.failures += 1;
  const { requests, problems } = await run();
  row.requests += requests;
  expect(problems).toEqual([]);
  row.failures -= 1;
}

function rowOf(connector: string, manager: string): Row {
  const row = { connector, manager, cells: 0, requests: 0, failures: 0 };
  rows.push(row);
  return row;
}

afterAll(() => {
  const ran = rows.filter(({ cells }) => cells > 0);
  process.stdout.write(tableOf(ran, (performance.now() - startedAt) / 1_000));
});

let vllm: Aggregated;
beforeAll(async () => {
  vllm = await Aggregated.simulated('vllm');
});
afterAll(() => vllm.stop());

describe.each(SIMULATED_CONNECTORS)('%s', (connector) => {
  const dialect = dialectOf(connector);
  const wire = WIRES[connector];
  let whole: Aggregated;
  let deployments: readonly Deployment<SimulatorProcess>[] = [];

  beforeAll(async () => {
    whole = dialect === 'vllm' ? vllm : await Aggregated.simulated(dialect);
    deployments = await startAll(
      SPLIT_MANAGERS.map((manager) => () => {
        const flags = { prefill: wire.flags?.(manager) };
        return startDeployment({ connector, manager, flags });
      }),
    );
    const sides = deployments.flatMap(({ prefill, decode }) => [prefill, decode]);
    await Promise.all(sides.map((side) => side.misbehave(wire.faults ?? [])));
  });
  afterAll(async () => {
    await Promise.all(deployments.map((deployment) => deployment.stop()));
    if (whole !== vllm) await whole.stop();
  });

  describe.each(SPLIT_MANAGERS.map((manager, index) => ({ manager, index })))('$manager', ({ manager, index }) => {
    const row = rowOf(connector, manager);

    it.each(CELLS)('$api, stream: $stream', ({ api, stream }) =>
      book(row, () => {
        const deployment = deployments[index]!;
        // Other servers have a token endpoint of their own, but the same model.
        const engine = api === 'generate' ? { whole: vllm, view: viewOf(dialect) } : { whole };
        return runCell({
          deployment,
          manager,
          wire,
          texts: vllm,
          kind: dialect,
          api,
          stream,
          ...engine,
        });
      }),
    );
  });
});

describe.each(SPLIT_MANAGERS)('embedded %s', (manager) => {
  const row = rowOf('embedded', manager);
  let deployment: Deployment<InstanceProcess>;
  let whole: Aggregated;

  beforeAll(async () => {
    deployment = await startEmbeddedDeployment(manager);
    const { prefill, decode, instance } = deployment;
    whole = new Aggregated(decode === instance ? prefill : decode, 'embedded');
  });
  afterAll(() => deployment.stop());

  it.each(CELLS)('$api, stream: $stream', ({ api, stream }) =>
    book(row, () => runEmbeddedCell({ deployment, manager, whole, api, stream })),
  );
});
