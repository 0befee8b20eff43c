import { afterAll, beforeAll } from '@jest/globals';
import { startCoordinator, type Coordinator } from '../support/coordinator.js';
import type { RequestRecord } from '../../apps/simulator/src/http/request-record.js';
import { recordsOf } from '../misbehaviour/support/scene.js';
import { exchange, post } from './ssrf/exchange.js';
import { SMUGGLED } from './ssrf/smuggling-corpus.js';
import { faultCases } from './support/fault-case.js';

/** What a server has not answered by then it takes for unfinished. */
const LINGER_MS = 40;
const AT_ONCE = 8;

let coordinator: Coordinator;
beforeAll(async () => {
  coordinator = await startCoordinator({
    settings: { BATON_SECURITY_KEYLESS: 'client', BATON_LOG_LEVEL: 'silent' },
  });
}, 30_000);
afterAll(() => coordinator.stop());

async function seenByEngines(): Promise<RequestRecord[]> {
  const engines = [...coordinator.prefills, coordinator.decode];
  const records = (await Promise.all(engines.map(recordsOf))).flat();
  await Promise.all(engines.map((engine) => engine.forget()));
  return records;
}

faultCases('Smuggling', [
  {
    id: 'X5',
    title: `${SMUGGLED.length} requests whose framing can be read in two ways, over raw sockets`,
    runs: { scaled: SMUGGLED.length, full: SMUGGLED.length * 8 },
    async run(trial) {
      const { url } = coordinator.instance;
      let next = 0;
      let last = 0;
      const refused = new Set<string>();
      const one = async (run: number): Promise<void> => {
        const smuggled = SMUGGLED[run % SMUGGLED.length];
        if (smuggled === undefined) return;
        const [marker, hidden] = [`first-${run}`, `hidden-${run}`];
        const bytes = Buffer.from(smuggled.bytes(marker, hidden), 'latin1');
        // Closed without a word is a refusal as well.
        const statuses = await exchange(url, bytes, { lingerMs: LINGER_MS }).then(
          (answer) => answer.statuses.filter((status) => status >= 200),
          (): readonly number[] => [],
        );
        trial.injected();
        if (smuggled.isAmbiguous && statuses.includes(200))
          trial.failed(`${smuggled.name}: answered ${statuses.join()}`);
        if (!smuggled.isAmbiguous && statuses.length > 1) trial.failed(`${smuggled.name}: ${statuses.length} answers`);
        if (statuses.some((status) => status >= 500)) trial.failed(`${smuggled.name}: answered ${statuses.join()}`);
        if (!statuses.includes(200)) refused.add(smuggled.name);
      };
      const plainly = async (run: number): Promise<void> => {
        const { statuses, text } = await exchange(
          url,
          post('/v1/completions', { prompt: `plain-${run}`, max_tokens: 1 }),
        );
        if (statuses.join() !== '200')
          trial.failed(`a plain request behind it was answered ${statuses.join()}: ${text}`);
      };
      const worker = async (): Promise<void> => {
        while (next < last) {
          const run = next++;
          await one(run);
          await plainly(run);
        }
      };
      for (let until = 0; until < trial.runs; until += SMUGGLED.length) {
        last = Math.min(trial.runs, until + SMUGGLED.length);
        await Promise.all(Array.from({ length: AT_ONCE }, worker));
        const seen = await seenByEngines();
        for (const { path, body, headers } of seen) {
          const text = JSON.stringify({ path, body, headers });
          if (text.includes('hidden-')) trial.failed(`an engine was sent what was hidden: ${text}`);
          if (!/^(?:first|plain)-\d+$/.test(String(body['prompt']))) trial.failed(`an engine was sent ${text}`);
          if (/client-chose-this|nominated|"te"|"trailer"|"upgrade"|"expect"/.test(text)) {
            trial.failed(`an engine was sent headers of another connection: ${text}`);
          }
        }
        const plain = seen.filter(({ body }) => String(body['prompt']).startsWith('plain-')).length;
        if (plain === 0) trial.failed('no plain request has reached an engine');
      }
      trial.worst('kinds that are refused', refused.size, `of ${SMUGGLED.length}`);
    },
  },
]);
