import { describe, expect, it } from '@jest/globals';
import { FlowValve } from './flow-valve.js';

describe('FlowValve', () => {
  it('is open at first and tells each change once', () => {
    const valve = new FlowValve();
    const states: boolean[] = [];
    valve.state$.subscribe((isOpen) => states.push(isOpen));
    expect(valve.isOpen).toBe(true);
    valve.open();
    valve.close();
    valve.close();
    expect(valve.isOpen).toBe(false);
    valve.open();
    expect(states).toEqual([true, false, true]);
  });

  it('tells a late subscriber the present state', () => {
    const valve = new FlowValve();
    valve.close();
    const states: boolean[] = [];
    valve.state$.subscribe((isOpen) => states.push(isOpen));
    expect(states).toEqual([false]);
  });
});
