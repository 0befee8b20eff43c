import { CoordinationModule, CoordinationObserver, InFlight, RequestManager } from '@baton/coordination';
import { type InferenceError, type InferenceRequest, type ResponsePart } from '@baton/inference';
import { afterAll, beforeAll } from '@jest/globals';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { NEVER, throwError, type Observable } from 'rxjs';
import { setTimeout as sleep } from 'node:timers/promises';
import { seen, ShoutPipe, StoryController, WordGuard } from '../own-application/story.controller.js';
import { eventually } from '../support/eventually.js';
import { RawPost } from '../support/raw-client.js';
import { inParallel } from './leaving/visit.js';
import { faultCases, type FaultCase } from './support/fault-case.js';

/** What the bad manager does now, and how often it did. */
const bad: { behaves: () => unknown; times: number } = { behaves: () => undefined, times: 0 };

@RequestManager({ name: 'bad', priority: -1 })
class BadManager {
  dispatch(_request: InferenceRequest): Observable<ResponsePart> | undefined {
    bad.times += 1;
    return bad.behaves() as Observable<ResponsePart> | undefined;
  }
}

/** How many failures an operator was told of. */
let told = 0;
class CountingObserver extends CoordinationObserver {
  override failed(_request: InferenceRequest, _error: InferenceError): void {
    told += 1;
  }
}

let app: NestFastifyApplication;
let url: string;
beforeAll(async () => {
  const module = await Test.createTestingModule({
    imports: [
      CoordinationModule.forRoot({
        connector: 'embedded',
        // Nobody is there: what is not the bad manager's is answered here.
        decode: { endpoints: ['http://127.0.0.1:1'] },
        managers: [{ name: 'prefill-local-decode-remote', enabled: false }],
      }),
    ],
    controllers: [StoryController],
    providers: [BadManager, WordGuard, ShoutPipe],
  })
    .overrideProvider(CoordinationObserver)
    .useClass(CountingObserver)
    .compile();
  app = module.createNestApplication<NestFastifyApplication>(new FastifyAdapter({ forceCloseConnections: true }), {
    logger: ['fatal'],
  });
  await app.listen(0, '127.0.0.1');
  url = await app.getUrl();
});
afterAll(() => app.close());

const STORY = { prompt: 'a fox', max_tokens: 5, stream: true };
const tell = (): Promise<RawPost> => RawPost.send(url, '/stories', STORY, { 'x-word': 'baton' });

/** Falls back to the handler. */
const PASSED_BY: readonly [string, () => unknown][] = [
  [
    'throws',
    () => {
      throw new Error('broken policy');
    },
  ],
  ['answers with a promise', () => Promise.resolve('later')],
  ['answers with a text', () => 'text'],
  ['answers with null', () => null],
];

const badManagers: FaultCase = {
  id: 'R34',
  title: 'a manager that throws, answers with the wrong type, fails, or never answers',
  runs: { scaled: 60, full: 6_000 },
  run: async (trial) => {
    const inFlight = app.get(InFlight);
    const each = trial.runs / (PASSED_BY.length + 2);
    const round = async (one: (index: number) => Promise<void>): Promise<void> => {
      const before = bad.times;
      await inParallel(each, 8, one);
      trial.injected(bad.times - before);
      await eventually('nothing is in flight', () => inFlight.count === 0 && seen.running === 0, 1_000).catch(
        (error: unknown) => trial.failed(`${String(error)}: ${inFlight.count} in flight, ${seen.running} running`),
      );
    };
    for (const [what, behaves] of PASSED_BY) {
      bad.behaves = behaves;
      const [toldBefore, handledBefore] = [told, seen.bodies.length];
      await round(async () => {
        const post = await tell();
        // The handler tells for ever, so that only leaving ends it.
        await post.eventsReach(1).catch(() => trial.failed(`${what}: ${post.received}`));
        if (!post.received.startsWith('HTTP/1.1 200')) trial.failed(`${what}: ${post.received}`);
        post.leave('RST');
      });
      if (told - toldBefore !== each)
        trial.failed(`${what}: an operator was told ${told - toldBefore} of ${each} times`);
      if (seen.bodies.length - handledBefore !== each) trial.failed(`${what}: the handler ran too rarely`);
    }
    bad.behaves = () => throwError(() => new TypeError('broken answer'));
    await round(async () => {
      const post = await tell();
      await eventually('an answer came', () => post.received.includes('\r\n\r\n'));
      if (!post.received.startsWith('HTTP/1.1 500')) trial.failed(`fails: ${post.received}`);
      if (post.received.includes('broken answer')) trial.failed('the client was told what only an operator may know');
      post.leave('RST');
    });
    bad.behaves = () => NEVER;
    await round(async () => {
      const post = await tell();
      await sleep(20);
      if (post.received !== '') trial.failed(`never answers: ${post.received}`);
      post.leave('RST');
    });
    bad.behaves = () => undefined;
    trial.worst('held in the end', inFlight.count + seen.running, '');
    seen.bodies.length = 0;
  },
};

faultCases('Managers of others', [badManagers]);
