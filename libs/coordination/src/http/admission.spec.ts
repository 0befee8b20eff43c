import { ANONYMOUS, inferenceRequest, type ResponsePart } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { Subject } from 'rxjs';
import { CoordinationObserver, type RejectionReason } from '../observer.js';
import { Admission } from './admission.js';
import { LoadShedding } from './load-shedding.js';
import { run, script } from './story-application.spec-support.js';
import { DONE, event, headOf, parsed, post, send, STORY, STREAM, until } from './story-client.spec-support.js';

const OPTIONS = { connector: 'embedded', admission: { maxInFlight: 1, maxWaiting: 1, timeoutMs: 60_000 } };
const OVERLOADED = { error: { code: 'overloaded', type: 'service_unavailable_error' } };

describe('the admission of requests', () => {
  it('lets one wait until the answer before it has been sent, and refuses the next before anything is done', async () => {
    const running = await run(OPTIONS);
    const parts = new Subject<ResponsePart>();
    script.plan = () => parts;
    const first = post(running, STREAM);
    await until(() => parts.observed);
    parts.next(event(1));
    const second = new Subject<ResponsePart>();
    script.plan = () => second;
    const waiting = post(running, STREAM);
    await until(() => running.inFlight.count === 2);
    const third = new Subject<ResponsePart>();
    script.plan = () => third;
    const refused = await post(running, STORY);
    expect([refused.status, refused.headers['retry-after'], parsed(refused)]).toMatchObject([503, '1', OVERLOADED]);
    expect([second.observed, third.observed]).toEqual([false, false]);
    parts.next(DONE);
    parts.complete();
    await until(() => second.observed);
    second.next(DONE);
    second.complete();
    expect([(await first).status, (await waiting).status]).toEqual([200, 200]);
    expect(script.ends).toEqual(['rejected', 'complete', 'complete']);
    expect(script.failures).toEqual([]);
  });

  it.each([STORY, STREAM])('forgets a client that leaves the queue: %j', async (body) => {
    const running = await run(OPTIONS);
    const parts = new Subject<ResponsePart>();
    script.plan = () => parts;
    const first = send(running, STREAM);
    await until(() => parts.observed);
    parts.next(event(1));
    await headOf(first);
    const waiting = send(running, body);
    await until(() => running.inFlight.count === 2);
    waiting.destroy();
    await until(() => running.inFlight.count === 1);
    const next = post(running, body);
    await until(() => running.inFlight.count === 2);
    first.destroy();
    await until(() => script.ends.length === 2 && parts.observed);
    parts.next(DONE);
    parts.complete();
    expect((await next).status).toBe(200);
    expect(script.ends).toEqual(['client_gone', 'client_gone', 'complete']);
  });

  it('refuses who has waited too long', async () => {
    const running = await run({ ...OPTIONS, admission: { maxInFlight: 1, timeoutMs: 20 } });
    const parts = new Subject<ResponsePart>();
    script.plan = () => parts;
    send(running, STREAM);
    await until(() => parts.observed);
    expect(parsed(await post(running, STREAM))).toMatchObject(OVERLOADED);
  });
});

describe('Admission', () => {
  class Rejections extends CoordinationObserver {
    readonly all: RejectionReason[] = [];
    override rejected(reason: RejectionReason): void {
      this.all.push(reason);
    }
  }
  class Switch extends LoadShedding {
    isOn = false;
    override get isShedding(): boolean {
      return this.isOn;
    }
  }
  const client = inferenceRequest('chat', {});
  const leg = inferenceRequest('chat', {}, { isLeg: true, caller: { ...ANONYMOUS, trust: 'peer' } });

  it('counts legs apart, so that two instances that wait for each other do not stop each other', () => {
    const admission = new Admission(new CoordinationObserver(), new LoadShedding(), OPTIONS);
    admission.admit(client).subscribe();
    let begun = 0;
    const running = admission.admit(leg).subscribe(() => (begun += 1));
    expect(begun).toBe(1);
    expect(admission.load).toEqual({
      clients: { inFlight: 1, waiting: 0, isFull: false },
      legs: { inFlight: 1, waiting: 0, isFull: false },
    });
    running.unsubscribe();
    expect(admission.load.legs.inFlight).toBe(0);
  });

  it('begins nothing for clients while the instance is too busy, and tells why', () => {
    const [rejections, shedding] = [new Rejections(), new Switch()];
    const admission = new Admission(rejections, shedding, { admission: { maxInFlight: 1, maxWaiting: 0 } });
    const errors: unknown[] = [];
    const ask = (request = client) =>
      admission.admit(request).subscribe({ error: (error: unknown) => errors.push(error) });
    shedding.isOn = true;
    ask();
    ask(leg);
    shedding.isOn = false;
    ask();
    ask();
    expect(errors).toEqual([1, 2].map(() => expect.objectContaining({ status: 503, code: 'overloaded' })));
    expect(rejections.all).toEqual(['busy', 'queue_full']);
  });
});
