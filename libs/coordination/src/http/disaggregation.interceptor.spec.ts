import {
  bytesPart,
  inferenceRequest,
  InferenceError,
  invalidRequest,
  jsonPart,
  SSE_DONE,
  sseEvent,
  type InferenceRequest,
  type ResponsePart,
} from '@baton/inference';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import {
  Body,
  Controller,
  ForbiddenException,
  Get,
  HttpCode,
  Injectable,
  Post,
  StreamableFile,
  UseGuards,
  UseInterceptors,
  type ArgumentMetadata,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { IsBoolean, IsInt, IsOptional, IsString, Min } from 'class-validator';
import { once } from 'node:events';
import { request as httpRequest, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import {
  catchError,
  concat,
  delay,
  forkJoin,
  EMPTY,
  map,
  mergeMap,
  NEVER,
  Observable,
  of,
  Subject,
  tap,
  throwError,
  timeout,
} from 'rxjs';
import { CoordinationModule } from '../coordination.module.js';
import type { CoordinationOptions } from '../coordination.options.js';
import type { DisaggregatedRequestManager, LocalExecution } from '../managers/disaggregated-request-manager.js';
import { RequestManager } from '../managers/request-manager.decorator.js';
import { CoordinationObserver, type StreamEndReason } from '../observer.js';
import { Disaggregated } from './disaggregated.decorator.js';
import { InFlight } from './in-flight.js';
import { InferenceAnswer } from './inference-answer.js';
import { Leg } from './leg.decorator.js';
import { RequestCheck } from './request-check.js';

/** The policy of each test. */
let plan: (request: InferenceRequest, local: LocalExecution) => Observable<ResponsePart> | undefined;
/** What the handler of each test returns for the leg that it runs. */
let handler: (leg: InferenceRequest, body: unknown) => unknown;
let isAllowed: boolean;
let check: (request: InferenceRequest) => void | Promise<void>;
let ends: StreamEndReason[];

@RequestManager({ name: 'scripted' })
class ScriptedManager implements DisaggregatedRequestManager {
  dispatch(request: InferenceRequest, local: LocalExecution): Observable<ResponsePart> | undefined {
    return plan(request, local);
  }
}

@Injectable()
class RecordingObserver extends CoordinationObserver {
  override ended(reason: StreamEndReason): void {
    ends.push(reason);
  }
}

@Injectable()
class ScriptedCheck extends RequestCheck {
  override check(request: InferenceRequest): void | Promise<void> {
    return check(request);
  }
}

class StoryDto {
  @IsString()
  prompt!: string;
  @IsOptional()
  @IsInt()
  @Min(1)
  max_tokens?: number;
  @IsOptional()
  @IsBoolean()
  stream?: boolean;
}

class DoorGuard implements CanActivate {
  canActivate(): boolean {
    if (!isAllowed) throw new ForbiddenException('Not you.');
    return true;
  }
}

/** A pipe of the application's own: marks what it has seen. */
class MarkingPipe implements PipeTransform {
  transform(value: unknown, { type }: ArgumentMetadata): unknown {
    return type === 'body' && typeof value === 'object' ? { ...value, isMarked: true } : value;
  }
}

/** A bound of the application's own on the whole answer. */
class ImpatientInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(timeout(30));
  }
}

@Disaggregated()
@UseGuards(DoorGuard)
@Controller()
class StoryController {
  @Post('story')
  @HttpCode(200)
  story(@Body(MarkingPipe) body: StoryDto, @Leg() leg: InferenceRequest): unknown {
    return handler(leg, body);
  }

  @Post('untyped')
  @HttpCode(200)
  untyped(@Body() body: unknown): unknown {
    return { got: body };
  }

  @Post('field')
  @HttpCode(200)
  field(@Body('prompt') prompt: string): unknown {
    return { got: prompt };
  }

  @Post('leg')
  @HttpCode(200)
  leg(@Leg() leg: InferenceRequest): unknown {
    return { api: leg.api };
  }

  @Get('models')
  models(): unknown {
    return { data: [] };
  }
}

@Controller()
class ImpatientController {
  @Post('impatient')
  @HttpCode(200)
  @Disaggregated()
  @UseInterceptors(ImpatientInterceptor)
  story(@Body() body: StoryDto, @Leg() leg: InferenceRequest): unknown {
    return handler(leg, body);
  }
}

interface Running {
  readonly port: number;
  readonly inFlight: InFlight;
}

const opened: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function run(options: CoordinationOptions = { connector: 'embedded' }): Promise<Running> {
  plan = () => undefined;
  handler = (leg) => ({ leg: leg.body });
  isAllowed = true;
  check = () => undefined;
  ends = [];
  const module = await Test.createTestingModule({
    imports: [
      CoordinationModule.forRoot({
        ...options,
        providers: [
          ScriptedManager,
          { provide: CoordinationObserver, useClass: RecordingObserver },
          { provide: RequestCheck, useClass: ScriptedCheck },
        ],
      }),
    ],
    controllers: [StoryController, ImpatientController],
  }).compile();
  const app = module.createNestApplication<NestFastifyApplication>(
    new FastifyAdapter({ forceCloseConnections: true }),
    { logger: false },
  );
  await app.listen(0, '127.0.0.1');
  opened.push(() => app.close());
  return { port: (app.getHttpServer().address() as AddressInfo).port, inFlight: app.get(InFlight) };
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Call {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly raw?: string;
}

function send(
  { port }: Running,
  body: unknown,
  { path = '/story', method = 'POST', headers = {}, raw }: Call = {},
): ClientRequest {
  const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const call = httpRequest({
    ...{ port, path, method, host: '127.0.0.1', agent: false },
    headers: { ...(text === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
  });
  call.on('error', () => undefined); // a connection that a test resets
  call.end(text);
  return call;
}

async function headOf(call: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  return response;
}

async function post(running: Running, body: unknown, options?: Call): Promise<Answer> {
  const response = await headOf(send(running, body, options));
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString() };
}

const parsed = ({ text }: Answer): unknown => JSON.parse(text);

/** Waits for what comes over a socket; bounded, so that a failure is told rather than waited for. */
async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 4_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`It did not come about: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const event = (n: number): ResponsePart => bytesPart(sseEvent({ n }));
const DONE = bytesPart(SSE_DONE);
const STORY = { prompt: 'x' };
const STREAM = { prompt: 'x', stream: true };

describe('when coordination is off', () => {
  const off = (): Promise<Running> => run({});

  it('the handler runs untouched, and so does its answer', async () => {
    const running = await off();
    plan = () => of(jsonPart({ by: 'manager' }));
    handler = (_leg, body) => ({ body });
    const answer = await post(running, { prompt: 'x', odd: 1 }, { headers: { 'x-request-id': 'client-7' } });
    expect(answer.status).toBe(200);
    expect(parsed(answer)).toEqual({ body: { prompt: 'x', odd: 1, isMarked: true } });
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('x-'))).toEqual([]);
  });

  it('what is a valid body is for the pipes of the application to say', async () => {
    const running = await off();
    handler = (_leg, body) => ({ body });
    const answer = await post(running, { prompt: 'x', max_tokens: 0 });
    expect(answer.status).toBe(200);
  });

  it('nothing is checked against the context, and nothing counts as in flight', async () => {
    const running = await off();
    check = () => {
      throw invalidRequest('Too long.', 'prompt');
    };
    handler = () => ({ inFlight: running.inFlight.count });
    expect(parsed(await post(running, STORY))).toEqual({ inFlight: 0 });
  });

  it('a handler may still return an answer that streams', async () => {
    const running = await off();
    handler = (leg) => new InferenceAnswer(of(event(1), DONE), leg);
    const answer = await post(running, STREAM);
    expect(answer.headers['content-type']).toMatch('text/event-stream');
    expect(answer.text).toBe('data: {"n":1}\n\ndata: [DONE]\n\n');
    expect(ends).toEqual(['complete']);
  });
});

it('when coordination is on a body is validated before anything runs', async () => {
  const running = await run();
  const asked = jest.fn(() => undefined);
  plan = asked;
  handler = asked;
  const answer = await post(running, { prompt: 'x', max_tokens: 0 });
  expect(answer.status).toBe(400);
  expect(parsed(answer)).toMatchObject({ error: { type: 'invalid_request_error', param: 'max_tokens', code: null } });
  expect((await post(running, { max_tokens: 5 })).text).toContain('"param":"prompt"');
  expect((await post(running, undefined)).status).toBe(400);
  expect((await post(running, [STORY])).status).toBe(400);
  expect((await post(running, undefined, { raw: '{"prompt":' })).status).toBe(400);
  expect(asked).not.toHaveBeenCalled();
});

describe.each([
  ['off', {}],
  ['on', { connector: 'embedded' }],
])('when coordination is %s', (_state, options) => {
  it('routes without a body, and handlers that take whatever comes, run as they are', async () => {
    const running = await run(options);
    const models = await post(running, undefined, { path: '/models', method: 'GET' });
    expect(models.status).toBe(200);
    expect(parsed(models)).toEqual({ data: [] });
    expect(parsed(await post(running, [1, 2], { path: '/untyped' }))).toEqual({ got: [1, 2] });
    expect(parsed(await post(running, { prompt: 'x' }, { path: '/field' }))).toEqual({ got: 'x' });
  });

  it('a handler that needs a leg refuses a body that cannot be one', async () => {
    const running = await run(options);
    expect(parsed(await post(running, { messages: [] }, { path: '/leg' }))).toEqual({ api: 'chat' });
    const answer = await post(running, [1], { path: '/leg' });
    expect(answer.status).toBe(400);
    expect(parsed(answer)).toMatchObject({ error: { type: 'invalid_request_error', param: null } });
  });

  it('guards run first', async () => {
    const running = await run(options);
    isAllowed = false;
    const asked = jest.fn(() => undefined);
    plan = asked;
    handler = asked;
    expect((await post(running, STORY)).status).toBe(403);
    expect((await post(running, { max_tokens: 0 })).status).toBe(403);
    expect(asked).not.toHaveBeenCalled();
  });
});

describe('the lifecycle of a request', () => {
  it('before-local declines: the handler runs with the body of the client', async () => {
    const running = await run();
    const answer = await post(running, { prompt: 'x', odd: 1 });
    expect(parsed(answer)).toEqual({ leg: { prompt: 'x', odd: 1 } });
    expect(answer.headers['x-baton-manager']).toBe('local');
  });

  it('before-local wins: the handler does not run', async () => {
    const running = await run();
    handler = jest.fn();
    plan = () => of(jsonPart({ by: 'manager' }));
    const answer = await post(running, STORY, { headers: { 'x-request-id': 'client-7' } });
    expect(answer.status).toBe(200);
    expect(parsed(answer)).toEqual({ by: 'manager' });
    expect(answer.headers).toMatchObject({
      'x-baton-manager': 'scripted',
      'x-request-id': 'client-7',
      'content-type': 'application/json; charset=utf-8',
    });
    expect(handler).not.toHaveBeenCalled();
    expect(ends).toEqual(['complete']);
  });

  it('after-local wins: the handler runs the leg, and the manager answers', async () => {
    const running = await run();
    const ran: unknown[] = [];
    handler = (leg, body) => {
      ran.push({ id: leg.id, leg: leg.body, body });
      return { kv: 1 };
    };
    plan = (request, local) =>
      local({ ...request, id: 'leg-1', body: { prompt: 'edited' } }).pipe(
        map((part) => jsonPart({ after: part.kind === 'json' ? part.body : 'bytes' })),
      );
    const answer = await post(running, { prompt: 'x', max_tokens: 9 });
    expect(parsed(answer)).toEqual({ after: { kv: 1 } });
    expect(ran).toEqual([{ id: 'leg-1', leg: { prompt: 'edited' }, body: { prompt: 'edited', isMarked: true } }]);
    expect(answer.headers['x-request-id']).not.toBe('leg-1');
  });

  it('two local legs, one after the other, each run with a body of their own', async () => {
    const running = await run();
    handler = (_leg, body) => body;
    plan = (request, local) =>
      local({ ...request, body: { prompt: 'first' } }).pipe(
        mergeMap((first) =>
          local({ ...request, body: { prompt: 'second' } }).pipe(map((second) => jsonPart({ first, second }))),
        ),
      );
    expect(parsed(await post(running, STORY))).toEqual({
      first: jsonPart({ prompt: 'first', isMarked: true }),
      second: jsonPart({ prompt: 'second', isMarked: true }),
    });
  });

  it('two local legs at the same time are an error: Nest would run both with the body of the second', async () => {
    const running = await run();
    const ran: unknown[] = [];
    handler = (_leg, body) => {
      ran.push(body);
      return body;
    };
    plan = (request, local) =>
      forkJoin([
        local({ ...request, body: { prompt: 'first' } }),
        local({ ...request, body: { prompt: 'second' } }).pipe(
          catchError(({ message }: Error) => of(jsonPart({ message }))),
        ),
      ]).pipe(map((both) => jsonPart({ both })));
    expect(parsed(await post(running, STORY))).toEqual({
      both: [
        jsonPart({ prompt: 'first', isMarked: true }),
        jsonPart({ message: expect.stringContaining('one after the other') }),
      ],
    });
    expect(ran).toEqual([{ prompt: 'first', isMarked: true }]);
  });

  it('a manager sees the request in neutral form, with tracing headers and nothing secret', async () => {
    const running = await run();
    const seen: InferenceRequest[] = [];
    plan = (request) => {
      seen.push(request);
      return of(jsonPart({}));
    };
    await post(
      running,
      { prompt: 'x', odd: { a: 1 } },
      { headers: { traceparent: 'tp', authorization: 'Bearer k', cookie: 'c=1' } },
    );
    await post(running, STORY, { headers: { 'x-baton-leg': '1', 'x-request-id': 'not safe to repeat' } });
    expect(seen[0]).toMatchObject({
      api: 'completions',
      body: { prompt: 'x', odd: { a: 1 } },
      headers: { traceparent: 'tp' },
      isLeg: false,
    });
    expect(Object.keys(seen[0]?.headers ?? {})).toEqual(['traceparent']);
    expect(seen[1]?.isLeg).toBe(true);
    expect(seen[1]?.id).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('is refused by the check of the application before any manager is asked; a leg is not checked', async () => {
    const running = await run();
    const asked = jest.fn(() => undefined);
    plan = asked;
    check = async () => {
      throw invalidRequest('The prompt is too long.', 'prompt', 'context_length_exceeded');
    };
    const answer = await post(running, STORY);
    expect(answer.status).toBe(400);
    expect(parsed(answer)).toMatchObject({ error: { param: 'prompt', code: 'context_length_exceeded' } });
    expect(asked).not.toHaveBeenCalled();
    expect((await post(running, STORY, { headers: { 'x-baton-leg': '1' } })).status).toBe(200);
  });

  it.each<[string, () => unknown, string]>([
    ['an object', () => ({ id: 'x' }), '{"id":"x"}'],
    ['text', () => '{"id":"x"}', '{"id":"x"}'],
    ['a promise', () => Promise.resolve({ id: 'x' }), '{"id":"x"}'],
    ['an Observable', () => of({ id: 'x' }), '{"id":"x"}'],
    ['a stream', () => Readable.from([Buffer.from('{"id":'), Buffer.from('"x"}')]), '{"id":"x"}'],
    ['a file', () => new StreamableFile(Buffer.from('{"id":"x"}')), '{"id":"x"}'],
    ['an answer', () => new InferenceAnswer(of(jsonPart({ id: 'x' })), inferenceRequest('chat', {})), '{"id":"x"}'],
    [
      'an async generator',
      async function* () {
        yield '{"id":';
        yield '"x"}';
      },
      '{"id":"x"}',
    ],
  ])('local execution takes %s from the handler', async (_what, result, text) => {
    const running = await run();
    handler = result;
    plan = (request, local) => local(request);
    const answer = await post(running, STORY);
    expect(answer.text).toBe(text);
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
  });
});

describe('an error', () => {
  it.each([
    ['a stream', STREAM],
    ['a JSON answer', STORY],
  ])('before the first part of %s is a true HTTP error in the OpenAI shape', async (_what, body) => {
    const running = await run();
    plan = () =>
      throwError(() => new InferenceError('Try later.', { status: 503, code: 'busy', retryAfterSeconds: 7 })).pipe();
    const answer = await post(running, body);
    expect(answer.status).toBe(503);
    expect(answer.headers['retry-after']).toBe('7');
    expect(answer.headers['content-type']).toMatch('application/json');
    expect(answer.headers['x-baton-manager']).toBe('scripted');
    expect(parsed(answer)).toEqual({
      error: { message: 'Try later.', type: 'service_unavailable_error', param: null, code: 'busy' },
    });
    expect(running.inFlight.count).toBe(0);
    expect(ends).toEqual(['server_error']);
  });

  it('that comes later, still before the first part, is one too', async () => {
    const running = await run();
    plan = () =>
      of(0).pipe(
        delay(5),
        mergeMap(() => throwError(() => invalidRequest('No.', 'prompt'))),
      );
    const answer = await post(running, STREAM);
    expect(answer.status).toBe(400);
    expect(ends).toEqual(['client_error']);
  });

  it('of a kind that nobody knows says nothing of itself', async () => {
    const running = await run();
    plan = () => throwError(() => new Error('secret'));
    const answer = await post(running, STREAM);
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain('secret');
    plan = () => {
      throw new Error('secret');
    };
    expect((await post(running, STREAM)).status).toBe(500);
  });

  it('after the first part is an error event, then the end mark', async () => {
    const running = await run();
    plan = () =>
      concat(
        of(event(1)),
        throwError(() => new InferenceError('Lost.', { status: 502, code: 'remote_reset' })),
      );
    const answer = await post(running, STREAM);
    expect(answer.status).toBe(200);
    expect(answer.text.split('\n\n')).toEqual([
      'data: {"n":1}',
      'data: {"error":{"message":"Lost.","type":"server_error","param":null,"code":"remote_reset"}}',
      'data: [DONE]',
      '',
    ]);
    expect(ends).toEqual(['upstream_error']);
    expect(running.inFlight.count).toBe(0);
  });

  it('that the handler throws in a local leg reaches the client as its own', async () => {
    const running = await run();
    handler = () => {
      throw new ForbiddenException('Not this one.');
    };
    plan = (request, local) => local(request);
    const answer = await post(running, STORY);
    expect(answer.status).toBe(403);
    expect(parsed(answer)).toMatchObject({ message: 'Not this one.' });
  });
});

describe('a stream', () => {
  it('has the headers of one, and its first byte is out before the second event is made', async () => {
    const running = await run();
    const parts = new Subject<ResponsePart>();
    plan = () => parts;
    const call = send(running, STREAM);
    const response = headOf(call);
    await until(() => parts.observed);
    parts.next(event(1));
    const { headers, statusCode } = await response;
    expect(statusCode).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'x-baton-manager': 'scripted',
    });
    const received: string[] = [];
    (await response).on('data', (chunk: Buffer) => received.push(chunk.toString()));
    await until(() => received.length === 1);
    expect(received).toEqual(['data: {"n":1}\n\n']);
    parts.next(event(2));
    await until(() => received.length === 2);
    parts.complete();
    await once(await response, 'end');
    expect(running.inFlight.count).toBe(0);
  });

  it('comes out of an async generator, a stream or an answer of the handler as well', async () => {
    const running = await run();
    const whole = 'data: {"n":1}\n\ndata: [DONE]\n\n';
    const events = ['data: {"n":1}\n\n', 'data: [DONE]\n\n'];
    const results: ((leg: InferenceRequest) => unknown)[] = [
      async function* () {
        yield* events;
      },
      () => Readable.from(events),
      (leg) => new InferenceAnswer(of(event(1), DONE), leg),
    ];
    plan = (request, local) => local(request);
    for (const result of results) {
      handler = result;
      const answer = await post(running, STREAM);
      expect(answer.headers['content-type']).toMatch('text/event-stream');
      expect(answer.text).toBe(whole);
    }
    expect(ends).toEqual(['complete', 'complete', 'complete']);
  });
});

describe('when the client leaves', () => {
  /** A request whose parts say when they are wanted and when they are given back. */
  function held(parts: Observable<ResponsePart>): { state: { isRunning: boolean; released: number } } {
    const state = { isRunning: false, released: 0 };
    plan = () =>
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
    expect(ends).toEqual(['client_gone']);
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
    expect(ends).toEqual(['client_gone']);
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
    expect(ends).toEqual(['client_gone']);
  });

  it('while its request is checked, nothing is started', async () => {
    const running = await run();
    const { state } = held(NEVER);
    const gate = new Subject<void>();
    let isChecked = false;
    check = () =>
      new Promise<void>((resolve) => void gate.subscribe(() => resolve())).then(() => void (isChecked = true));
    const call = send(running, STREAM);
    await until(() => gate.observed);
    call.destroy();
    // The server has seen the end of the connection when it has answered another one.
    check = () => undefined;
    plan = () => of(jsonPart({}));
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
    handler = () => source;
    plan = (request, local) => local(request);
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
    plan = (request) => {
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
    expect(ends).toEqual(['complete']);
  });

  it('that stalls is cut off after the stall timeout', async () => {
    const running = await run({ connector: 'embedded', stallTimeoutMs: 60 });
    const state = { made: 0 };
    let released = 0;
    plan = (request) => flood(request, state).pipe(tap({ unsubscribe: () => released++ }));
    const response = await headOf(send(running, STREAM));
    response.on('error', () => undefined);
    await until(() => ends.length > 0);
    expect(ends).toEqual(['client_stalled']);
    expect(released).toBe(1);
    expect(running.inFlight.count).toBe(0);
    expect(state.made).toBeLessThan(CHUNKS / 2);
    response.resume();
    await until(() => response.closed);
    expect(response.complete).toBe(false);
  });

  it('that stalls when the answer is complete is cut off too', async () => {
    const running = await run({ connector: 'embedded', stallTimeoutMs: 60, highWaterBytes: 1 << 30 });
    plan = () => of(...Array.from({ length: CHUNKS }, () => CHUNK));
    const response = await headOf(send(running, STREAM));
    response.on('error', () => undefined);
    await until(() => ends.length > 0);
    expect(ends).toEqual(['client_stalled']);
    response.resume();
    await until(() => response.closed);
    expect(response.complete).toBe(false);
  });
});

describe('shutting down', () => {
  it('refuses new requests with a 503 and a time to come back', async () => {
    const running = await run();
    plan = () => EMPTY;
    running.inFlight.refuseNew();
    for (const body of [STORY, STREAM]) {
      const answer = await post(running, body);
      expect(answer.status).toBe(503);
      expect(answer.headers['retry-after']).toBe('1');
      expect(parsed(answer)).toMatchObject({ error: { code: 'shutting_down' } });
    }
    expect(ends).toEqual([]);
  });

  it('lets a stream end by itself within the bound', async () => {
    const running = await run();
    const parts = new Subject<ResponsePart>();
    plan = () => parts;
    const answer = post(running, STREAM);
    await until(() => parts.observed);
    parts.next(event(1));
    const drained = running.inFlight.drain(30_000);
    parts.next(DONE);
    parts.complete();
    await drained;
    expect((await answer).text).toBe('data: {"n":1}\n\ndata: [DONE]\n\n');
    expect(ends).toEqual(['complete']);
  });

  it('ends a stream that takes longer with an error event, and one without a part with a 503', async () => {
    const running = await run();
    const parts = new Subject<ResponsePart>();
    plan = () => parts;
    const begun = post(running, STREAM);
    await until(() => parts.observed);
    parts.next(event(1));
    plan = () => NEVER;
    const waiting = post(running, STREAM);
    await until(() => running.inFlight.count === 2);
    await running.inFlight.drain(20);
    expect((await begun).text).toMatch(/^data: {"n":1}\n\ndata: {"error":.*"shutting_down".*}\n\ndata: \[DONE\]\n\n$/);
    expect((await waiting).status).toBe(503);
    expect(ends.sort()).toEqual(['drain', 'drain']);
    expect(running.inFlight.count).toBe(0);
    expect(parts.observed).toBe(false);
  });
});
