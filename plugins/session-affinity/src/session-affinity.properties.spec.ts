import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  endpointsOf,
  held,
  homeOf,
  ofPrompt,
  ofSession,
  optionsOf,
  pickerOf,
  type Held,
} from './picks.spec-support.js';
import { weightOf } from './rendezvous.js';
import { digestOf } from './session-key.js';

const SESSION = fc.string({ minLength: 1, maxLength: 40 });
const COUNT = fc.integer({ min: 1, max: 12 });

describe('rendezvous hashing', () => {
  it('gives a session the same endpoint again, on every instance and in every order of the pool', () => {
    fc.assert(
      fc.property(SESSION, COUNT, (session, count) => {
        const endpoints = endpointsOf(count);
        const picker = pickerOf();
        const home = homeOf(picker, ofSession(session), endpoints);
        expect(homeOf(picker, ofSession(session), endpoints)).toBe(home);
        // Another process has read the same configuration, in another order.
        expect(homeOf(pickerOf(), ofSession(session), endpointsOf(count).toReversed())).toEqual(home);
      }),
    );
  });

  it('moves only the sessions of an endpoint that goes, and gives them back when it returns', () => {
    fc.assert(
      fc.property(fc.uniqueArray(SESSION, { minLength: 1, maxLength: 50 }), fc.nat(), COUNT, (sessions, at, count) => {
        const endpoints = endpointsOf(count + 1);
        const gone = endpoints[at % endpoints.length];
        const left = endpoints.filter((endpoint) => endpoint !== gone);
        const picker = pickerOf();
        for (const request of sessions.map(ofSession)) {
          const before = homeOf(picker, request, endpoints);
          const during = homeOf(picker, request, left);
          if (before === gone) expect(left).toContain(during);
          else expect(during).toBe(before);
          expect(homeOf(picker, request, endpoints)).toBe(before);
        }
      }),
    );
  });

  it('spreads sessions, and those of an endpoint that goes over all others', () => {
    const endpoints = endpointsOf(5);
    const picker = pickerOf();
    const requests = Array.from({ length: 5_000 }, (_, index) => ofSession(`session-${index}`));
    const homes = requests.map((request) => homeOf(picker, request, endpoints));
    for (const endpoint of endpoints) {
      expect(Math.abs(homes.filter((home) => home === endpoint).length - 1_000)).toBeLessThan(120);
    }
    const moved = requests.filter((_, index) => homes[index] === endpoints[0]);
    const others = endpoints.slice(1);
    const movedTo = moved.map((request) => homeOf(picker, request, others));
    for (const endpoint of others) {
      expect(Math.abs(movedTo.filter((home) => home === endpoint).length - moved.length / 4)).toBeLessThan(70);
    }
  });

  it('gives weights that do not depend on what else there is', () => {
    const [endpoint] = endpointsOf(1);
    // Fixed: coordinators of several versions must agree while they are replaced.
    expect(weightOf(digestOf('session', 'a'), endpoint!)).toBe(850_032_877_256_385);
  });
});

describe('the bound on the load', () => {
  const steps = fc.array(
    fc.record({ session: fc.integer({ min: 0, max: 3 }), isPick: fc.boolean(), which: fc.nat() }),
    {
      maxLength: 120,
    },
  );

  it('is never exceeded, whatever comes and goes', () => {
    const factors = fc.constantFrom(1, 1.1, 1.25, 2);
    fc.assert(
      fc.property(steps, COUNT, factors, fc.boolean(), (all, count, loadFactor, byPrompt) => {
        const endpoints = endpointsOf(count);
        const picker = pickerOf({ loadFactor });
        const open: Held[] = [];
        for (const { session, isPick, which } of all) {
          if (!isPick) {
            open.splice(which % Math.max(1, open.length), 1)[0]?.hold.unsubscribe();
            continue;
          }
          const request = byPrompt ? ofPrompt(`prompt ${session}`) : ofSession(`session ${session}`);
          const pick = held(picker, request, endpoints);
          open.push(pick);
          const holds = open.filter(({ endpoint }) => endpoint === pick.endpoint).length;
          expect(holds).toBeLessThanOrEqual(Math.ceil((loadFactor * open.length) / count));
        }
      }),
    );
  });

  it('lets a session go home again as soon as there is room', () => {
    fc.assert(
      fc.property(SESSION, fc.integer({ min: 2, max: 8 }), fc.integer({ min: 1, max: 40 }), (session, count, crowd) => {
        const endpoints = endpointsOf(count);
        const picker = pickerOf();
        const home = homeOf(picker, ofSession(session), endpoints);
        const open = Array.from({ length: crowd }, () => held(picker, ofSession(session), endpoints));
        for (const { hold } of open) hold.unsubscribe();
        expect(homeOf(picker, ofSession(session), endpoints)).toBe(home);
      }),
    );
  });
});

describe('prompts that begin alike', () => {
  it('go to one endpoint, as text and as token ids', () => {
    const { prefixBytes } = optionsOf();
    const endpoints = endpointsOf(7);
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', minLength: prefixBytes, maxLength: prefixBytes + 20 }),
        fc.array(fc.nat(200_000), { minLength: prefixBytes / 4, maxLength: prefixBytes }),
        fc.string(),
        (text, ids, more) => {
          const picker = pickerOf();
          expect(homeOf(picker, ofPrompt(text + more), endpoints)).toBe(homeOf(picker, ofPrompt(text), endpoints));
          const longer = [...ids, ...Buffer.from(more)];
          expect(homeOf(picker, ofPrompt(longer), endpoints)).toBe(homeOf(picker, ofPrompt(ids), endpoints));
        },
      ),
    );
  });
});
