import { bytesPart, jsonPart, type InferenceRequest, type ResponsePart } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import type { ClientRequest } from 'node:http';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { concat, delay, NEVER, Observable, of, Subject, tap } from 'rxjs';
import { run, script } from './story-application.spec-support.js';
import { DONE, event, headOf, post, send, STORY, STREAM, until } from './story-client.spec-support.js';

describe('when the client leaves', () => {
  /** A request whose parts say when they are wanted and when they are given back. */
  function held(parts: Observable<ResponsePart>): { state: { isRunning: boolean; released: number } } {
    const state = { isRunning: false, released: 0 };
    script.plan = () =>
      new Observable((subscriber) => {
        state.isRunning = true;
        parts.subscribe(subscriber);
        return () => {
          state.released++;
        };
      });
    return { state };
  }

  const RST = (call: ClientRequest): unknown => call.socket?.resetAndDestroy();
  const FIN = (call: ClientRequest): unknown => call.destroy();

  it.each([
    ['RST', RST],
    ['FIN', FIN],
  ])('by %s before the first part, everything is given back', async (_how, leave) => {
    const running = await run();
    const { state } = held(NEVER);
    const call = send(running, STREAM);
    await until(() => state.isRunning);
    leave(call);
    await until(() => running.inFlight.count === 0);
    expect(state.released).toBe(1);
    expect(script.ends).toEqual(['client_gone']);
  });

  it.each([
    ['RST', RST],
    ['FIN', FIN],
  ])('by %s mid-stream, everything is given back', async (_how, leave) => {
    const running = await run();
    const { state } = held(concat(of(event(1)), NEVER));
    const call = send(running, STREAM);
    const response = await headOf(call);
    response.on('error', () => undefined);
    await once(response, 'data');
    expect(state.released).toBe(0);
    leave(call);
    await until(() => running.inFlight.count === 0);
    expect(state.released).toBe(1);
    expect(script.ends).toEqual(['client_gone']);
  });

  it.each([
    ['RST', RST],
    ['FIN', FIN],
  ])('by %s while a JSON answer is made, everything is given back', async (_how, leave) => {
    const running = await run();
    const { state } = held(concat(of(bytesPart(Buffer.from('{'))), NEVER));
    const call = send(running, STORY);
    await until(() => state.isRunning);
    leave(call);
    await until(() => running.inFlight.count === 0);
    expect(state.released).toBe(1);
    expect(script.ends).toEqual(['client_gone']);
  });

  it('while its request is checked, nothing is started', async () => {
    const running = await run();
    const { state } = held(NEVER);
    const gate = new Subject<void>();
    let isChecked = false;
    script.check = () =>
      new Promise<void>((resolve) => void gate.subscribe(() => resolve())).then(() => void (isChecked = true));
    const call = send(running, STREAM);
    await until(() => gate.observed);
    call.destroy();
    // The server has seen the end of the connection when it has answered another one.
    script.check = () => undefined;
    script.plan = () => of(jsonPart({}));
    await post(running, STORY);
    held(NEVER);
    gate.next();
    await until(() => isChecked && running.inFlight.count === 0);
    expect(state.isRunning).toBe(false);
  });

  it('with a second request behind the first on its connection, both are given back', async () => {
    const running = await run();
    const { state } = held(NEVER);
    const socket = connect(running.port, '127.0.0.1');
    const text = JSON.stringify(STREAM);
    const one = `POST /story HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
    socket.write(one + one);
    await until(() => running.inFlight.count === 2);
    socket.resetAndDestroy();
    await until(() => running.inFlight.count === 0);
    expect(state.released).toBe(2);
  });

  it('a local execution under way is aborted', async () => {
    const running = await run();
    const source = new Readable({ read: () => undefined });
    script.handler = () => source;
    script.plan = (request, local) => local(request);
    source.push('data: 1\n\n');
    const call = send(running, STREAM);
    const response = await headOf(call);
    response.on('error', () => undefined);
    call.destroy();
    await until(() => source.destroyed);
    await until(() => running.inFlight.count === 0);
  });

  it('an interceptor of the application that gives up before the first part ends the answer', async () => {
    const running = await run();
    const { state } = held(NEVER);
    const answer = await post(running, STREAM, { path: '/impatient' });
    expect(answer.status).toBe(500);
    expect(state.released).toBe(1);
    expect(running.inFlight.count).toBe(0);
  });

  it('an interceptor of the application does not end a stream that has begun', async () => {
    const running = await run();
    const { state } = held(concat(of(event(1)), of(event(2)).pipe(delay(80)), of(DONE)));
    const answer = await post(running, STREAM, { path: '/impatient' });
    expect(answer.text).toBe('data: {"n":1}\n\ndata: {"n":2}\n\ndata: [DONE]\n\n');
    expect(state.released).toBe(1);
  });
});

describe('a slow client', () => {
  const CHUNK = bytesPart(Buffer.alloc(65_536, 'x'));
  const CHUNKS = 1_024; // 64 MiB: far more than the sockets hold

  /** Makes chunks while the valve is open. */
  function flood(request: InferenceRequest, state: { made: number }): Observable<ResponsePart> {
    return new Observable((subscriber) => {
      const fill = (): void => {
        while (request.valve.isOpen && !subscriber.closed) {
          if (state.made === CHUNKS) return subscriber.complete();
          state.made++;
          subscriber.next(CHUNK);
        }
      };
      return request.valve.state$.subscribe(() => setImmediate(fill));
    });
  }

  it('pauses its sources, and goes on when it reads on', async () => {
    const running = await run({ connector: 'embedded', stallTimeoutMs: 5_000 });
    const state = { made: 0 };
    const states: boolean[] = [];
    script.plan = (request) => {
      request.valve.state$.subscribe((isOpen) => states.push(isOpen));
      return flood(request, state);
    };
    const response = await headOf(send(running, STREAM));
    let before = -1;
    while (before !== state.made || states.at(-1) === true) {
      before = state.made;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(state.made).toBeLessThan(CHUNKS / 2);
    let length = 0;
    response.on('data', (chunk: Buffer) => (length += chunk.length));
    await once(response, 'end');
    expect(length).toBe(CHUNKS * 65_536);
    expect(script.ends).toEqual(['complete']);
  });

  it('that stalls is cut off after the stall timeout', async () => {
    const running = await run({ connector: 'embedded', stallTimeoutMs: 60 });
    const state = { made: 0 };
    let released = 0;
    script.plan = (request) => flood(request, state).pipe(tap({ unsubscribe: () => released++ }));
    const response = await headOf(send(running, STREAM));
    response.on('error', () => undefined);
    await until(() => script.ends.length > 0);
    expect(script.ends).toEqual(['client_stalled']);
    expect(released).toBe(1);
    expect(running.inFlight.count).toBe(0);
    expect(state.made).toBeLessThan(CHUNKS / 2);
    response.resume();
    await until(() => response.closed);
    expect(response.complete).toBe(false);
  });

  it('that stalls when the answer is complete is cut off too', async () => {
    const running = await run({ connector: 'embedded', stallTimeoutMs: 60, highWaterBytes: 1 << 30 });
    script.plan = () => of(...Array.from({ length: CHUNKS }, () => CHUNK));
    const response = await headOf(send(running, STREAM));
    response.on('error', () => undefined);
    await until(() => script.ends.length > 0);
    expect(script.ends).toEqual(['client_stalled']);
    response.resume();
    await until(() => response.closed);
    expect(response.complete).toBe(false);
  });
});
