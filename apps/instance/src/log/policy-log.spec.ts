import type { NoticedPolicyAudit } from '@baton/coordination';
import { expect, it } from '@jest/globals';
import { pino } from 'pino';
import { Subject } from 'rxjs';
import { PolicyLog } from './policy-log.js';

const CHANGE: NoticedPolicyAudit = {
  ...{ version: 3, at: '2026-11-23T01:26:49.000Z', who: 'ops', reason: 'try it', action: 'change', isOwn: true },
  ...{ diff: [{ manager: 'local', field: 'enabled', from: true, to: false }], snapshot: '3.1' },
};

it('writes a line for each change of the policies since the start, and none after the end', () => {
  const lines: string[] = [];
  const changes = new Subject<NoticedPolicyAudit>();
  const logger = pino({ base: undefined, timestamp: false }, { write: (line: string) => void lines.push(line) });
  const log = new PolicyLog(logger, { changes });
  // Of an earlier process.
  changes.next({ ...CHANGE, version: 2 });
  log.onApplicationBootstrap();
  const { reason: _reason, ...withoutReason } = CHANGE;
  changes.next(CHANGE);
  changes.next({ ...withoutReason, version: 4, isOwn: false });
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { level: 30, audit: true, ...CHANGE, msg: 'The policies have changed' },
    { level: 30, audit: true, ...withoutReason, version: 4, isOwn: false, msg: 'The policies have changed' },
  ]);
  log.onApplicationShutdown();
  expect(changes.observed).toBe(false);
});
