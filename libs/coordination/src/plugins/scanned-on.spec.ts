import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { Subject } from 'rxjs';
import { PluginError } from './plugin-error.js';
import { scannedOn } from './scanned-on.js';

let changes: Subject<unknown>;
let ends: (() => void)[];
const scan = jest.fn<() => Promise<unknown>>();
const settled = (): Promise<void> => jest.advanceTimersByTimeAsync(0);

beforeEach(() => {
  jest.useFakeTimers();
  changes = new Subject();
  ends = [];
  scan.mockReset().mockImplementation(() => new Promise<void>((resolve) => ends.push(resolve)));
});
afterEach(() => void jest.useRealTimers());

it('scans once more for all that changes during a scan, and not more often', async () => {
  scannedOn(changes, scan).subscribe();
  expect(scan).not.toHaveBeenCalled();
  changes.next(1);
  expect(scan).toHaveBeenCalledTimes(1);
  for (const change of [2, 3, 4]) changes.next(change);
  expect(scan).toHaveBeenCalledTimes(1);
  ends.shift()?.();
  await settled();
  expect(scan).toHaveBeenCalledTimes(2);
  ends.shift()?.();
  await settled();
  expect(scan).toHaveBeenCalledTimes(2);
  changes.next(5);
  expect(scan).toHaveBeenCalledTimes(3);
});

it('tries again when there was no turn, and not when something else was wrong', async () => {
  const busy = new PluginError({ plugin: '*', code: 'plugin_busy', reason: 'busy', fix: 'Wait.' });
  scan.mockRejectedValueOnce(busy).mockRejectedValueOnce(busy).mockRejectedValueOnce(new Error('no disk'));
  scannedOn(changes, scan).subscribe();
  changes.next(1);
  await jest.advanceTimersByTimeAsync(10_000);
  expect(scan).toHaveBeenCalledTimes(3);
  changes.next(2);
  expect(scan).toHaveBeenCalledTimes(4);
});

it('stops when it is left', async () => {
  const busy = new PluginError({ plugin: '*', code: 'plugin_busy', reason: 'busy', fix: 'Wait.' });
  scan.mockRejectedValue(busy);
  const subscription = scannedOn(changes, scan).subscribe();
  changes.next(1);
  await settled();
  subscription.unsubscribe();
  expect(jest.getTimerCount()).toBe(0);
});
