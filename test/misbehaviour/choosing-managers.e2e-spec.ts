import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startCoordinator, type Coordinator } from '../support/coordinator.js';
import { startDeployment, type SplitManager } from '../support/deployment.js';
import { FLOWS } from '../support/requests.js';
import { ALL_ASKED, ask, bodyOf } from './support/client.js';
import { Scene } from './support/scene.js';

const SPLIT: SplitManager = 'prefill-local-decode-remote';
const LONG = 'a prompt of some two hundred bytes, '.repeat(6);
const SHORT = 'short';
const CONDITION = { minPromptTokens: 40, apis: ['completions', 'chat', 'generate'], maxChoices: 1 };

const WHOLE = { 'stream_end complete': 1 };
const TAKEN = { 'stream_end complete': 1, 'handoffs_settled taken': 1 };

/** An instance beside P that splits long prompts only. */
async function start(isTrusted: boolean): Promise<{ scene: Scene; stop: () => Promise<void> }> {
  const managers = JSON.stringify([{ name: SPLIT, disaggregateWhen: CONDITION }]);
  const deployment = await startDeployment({
    ...{ connector: 'nixl', manager: SPLIT },
    settings: {
      BATON_COORDINATION_MANAGERS: managers,
      BATON_SECURITY_KEYLESS: isTrusted ? 'peer' : 'client',
    },
  });
  return { scene: new Scene({ ...deployment, prefills: [deployment.prefill] }), stop: () => deployment.stop() };
}

const ROWS: readonly { what: string; prompt: string; header?: string; manager: string; untrusted?: string }[] = [
  { what: 'a long prompt', prompt: LONG, manager: SPLIT },
  { what: 'a short prompt', prompt: SHORT, manager: 'local' },
  {
    what: 'a long prompt for which somebody chose local',
    prompt: LONG,
    header: 'local',
    manager: 'local',
    untrusted: SPLIT,
  },
  {
    what: 'a short prompt for which somebody chose to split',
    prompt: SHORT,
    header: SPLIT,
    manager: SPLIT,
    untrusted: 'local',
  },
];

describe.each([{ isTrusted: true }, { isTrusted: false }])(
  'who answers (x-baton-manager trusted: $isTrusted)',
  (place) => {
    let scene: Scene;
    let stop: () => Promise<void>;
    beforeAll(async () => {
      ({ scene, stop } = await start(place.isTrusted));
    });
    afterAll(() => stop());

    it.each(ROWS)('$what', async ({ prompt, header, manager, untrusted }) => {
      const expected = place.isTrusted ? manager : (untrusted ?? manager);
      const headers: Record<string, string> = header === undefined ? {} : { 'x-baton-manager': header };
      for (const asked of ALL_ASKED) {
        const body = bodyOf(asked, prompt);
        const dispatched = { manager: expected };
        const before = await scene.cast.instance.metric('baton_dispatched_total', dispatched);
        const played = await scene.play({}, () => ask(scene.url, asked, { body, headers }));
        expect(await scene.cast.instance.metric('baton_dispatched_total', dispatched)).toBe(before + 1);
        expect(played.result.headers.get('x-baton-manager')).toBe(expected);
        expect(played.result).toMatchObject({ status: 200, finish: 'length' });
        expect(played.moved).toEqual(expected === SPLIT ? TAKEN : WHOLE);
        expect([played.prefill.length, played.decode.length]).toEqual([1, expected === SPLIT ? 1 : 0]);
      }
    });

    it('somebody chose a manager that is not there', async () => {
      const asked = ALL_ASKED[0]!;
      const headers = { 'x-baton-manager': 'nobody' };
      const played = await scene.play({}, () => ask(scene.url, asked, { headers }));
      if (place.isTrusted) {
        expect(played.result).toMatchObject({ status: 400, error: { code: 'unknown_manager' } });
        expect([played.moved, played.prefill, played.decode]).toEqual([{}, [], []]);
      } else {
        expect([played.result.status, played.moved]).toEqual([200, WHOLE]);
      }
    });

    it('several choices: one instance, the whole of them', async () => {
      for (const asked of ALL_ASKED) {
        const played = await scene.play({}, () => ask(scene.url, asked, { body: several(asked) }));
        expect(played.result.headers.get('x-baton-manager')).toBe('local');
        expect([played.moved, played.prefill.length, played.decode.length]).toEqual([WHOLE, 1, 0]);
      }
    });
  },
);

/** Three choices, of a prompt that would be split. */
function several(asked: (typeof ALL_ASKED)[number]): Record<string, unknown> {
  const body = bodyOf(asked, LONG);
  if (asked.flow.api !== 'generate') return { ...body, n: 3 };
  return { ...body, sampling_params: { ...(body['sampling_params'] as object), n: 3 } };
}

describe('several choices at a coordinator', () => {
  let coordinator: Coordinator;
  let scene: Scene;
  beforeAll(async () => {
    coordinator = await startCoordinator();
    scene = new Scene(coordinator);
  });
  afterAll(() => coordinator.stop());

  it.each(ALL_ASKED)('run on D as a whole ($flow.api, streamed: $stream)', async (asked) => {
    const played = await scene.play({}, () => ask(scene.url, asked, { body: several(asked) }));
    expect([played.moved, played.prefill.length]).toEqual([WHOLE, 0]);
    expect(played.decode).toMatchObject([
      { outcome: 'complete', leg: 'none', finishReasons: ['length', 'length', 'length'] },
    ]);
    const indices = played.result.events.flatMap(
      ({ choices }) => choices as { index: number; finish_reason: unknown }[],
    );
    const ended = indices.filter(({ finish_reason: reason }) => reason === 'length').map(({ index }) => index);
    expect([...ended].sort()).toEqual([0, 1, 2]);
  });

  it('one of them that does not end fails all of them', async () => {
    for (const stream of [true, false]) {
      const asked = { flow: FLOWS[0]!, stream };
      const act = () => ask(scene.url, asked, { body: several(asked) });
      const played = await scene.play({ decode: [{ kind: 'abort_terminal', afterTokens: 2 }] }, act);
      expect([played.moved, played.result.error?.['code']]).toEqual([
        { 'stream_end upstream_aborted': 1 },
        'upstream_aborted',
      ]);
    }
  });
});
