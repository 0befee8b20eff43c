import { describe, expect, it } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import type { CancellationPlan, Phase } from './cancellation.js';
import * as inTree from './in-tree.js';
import { KvConnectorMetadata, type KvConnector } from './kv-connector.js';

/** None of them asks its dependencies for anything before it is used. */
const connectors = Object.values(inTree).map((Connector) => {
  const connector = Reflect.construct(Connector, [{}, {}]) as KvConnector;
  const metadata = Reflect.getMetadata(KvConnectorMetadata.KEY, Connector) as { name: string };
  return { name: metadata.name, contract: connector.contract };
});

const PHASES: readonly Phase[] = ['prefilling', 'gap', 'decode_sent', 'transferring', 'decoding'];

describe('the cancellation plans in the tree', () => {
  it.each(connectors)(
    '$name says what frees its KV in every phase',
    ({ contract: { cancellation, order, leaseMs } }) => {
      for (const { owner, action } of Object.values(cancellation)) {
        if (owner !== 'nobody') expect(action).not.toBe('nothing');
      }
      expect(cancellation.before_prefill).toEqual({ owner: 'nobody', action: 'nothing' });
      expect(cancellation.done).toEqual({ owner: 'nobody', action: 'nothing' });
      // KV that somebody has to take is kept for a time that has to be known: half of it is when it is used no more.
      if (order === 'serial' && cancellation.gap.action !== 'nothing') expect(leaseMs).toBeGreaterThan(0);
    },
  );

  it('are those of docs/cancellation.md (UPDATE_DOCS=1 writes them)', () => {
    const file = new URL('../../../../docs/cancellation.md', import.meta.url);
    const text = readFileSync(file, 'utf8');
    const [before = '', rest = ''] = text.split('<!-- generated: plans -->\n');
    const [written = '', after = ''] = rest.split('<!-- /generated: plans -->');
    const table = tableOf(connectors);
    if (process.env['UPDATE_DOCS'] === '1') {
      writeFileSync(file, `${before}<!-- generated: plans -->\n\n${table}\n\n<!-- /generated: plans -->${after}`);
    } else {
      expect(cells(written)).toEqual(cells(table));
    }
  });
});

function tableOf(rows: readonly { name: string; contract: KvConnector['contract'] }[]): string {
  const cell = (plan: CancellationPlan, phase: Phase): string =>
    plan[phase].owner === 'nobody' ? 'nobody' : `${plan[phase].owner}: \`${plan[phase].action}\``;
  const line = (row: readonly string[]): string => `| ${row.join(' | ')} |`;
  const head = ['connector', ...PHASES.map((phase) => `\`${phase}\``), 'lease'];
  return [
    line(head),
    line(head.map(() => '---')),
    ...[...rows]
      .sort((a, b) => a.name.localeCompare(b.name))
      .map(({ name, contract: { cancellation, leaseMs } }) => {
        const lease = leaseMs === undefined ? 'none' : `${leaseMs / 1_000} s`;
        return line([`\`${name}\``, ...PHASES.map((phase) => cell(cancellation, phase)), lease]);
      }),
  ].join('\n');
}

/** What a table says, however it is padded. */
function cells(table: string): string[] {
  return table
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^[|\s-]+$/.test(line))
    .map((line) => line.replaceAll(/\s+/g, ' ').trim());
}
