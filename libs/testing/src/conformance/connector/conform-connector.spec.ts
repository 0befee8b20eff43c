import * as coordination from '@baton/coordination';
import { jsonPart, legOf, type InferenceRequest, type JsonObject } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { defer, of, type Observable } from 'rxjs';
import { CONCURRENT_CONTRACT, FakeConnector, SERIAL_CONTRACT } from '../../doubles/fake-connector.js';
import type { CallAnswer } from '../../doubles/fake-remotes.js';
import { wholeOf } from '../../doubles/token-answers.js';
import { assertConforms, type ConformanceReport } from '../report.js';
import { conformConnector } from './conform-connector.js';
import type { ConnectorConformanceOptions } from './connector-options.js';

const TIMEOUT_MS = 120_000;

const answers =
  (json: JsonObject): CallAnswer =>
  () => ({ parts: [jsonPart(json)] });

const withParams =
  (params: JsonObject) =>
  (leg: InferenceRequest): JsonObject => ({ ...wholeOf(leg, ['One'], 'length'), kv_transfer_params: params });

function contextAnswer(leg: InferenceRequest): JsonObject {
  const params = { request_type: 'context_only', ctx_request_id: 4_611_686_018_427_387_905n, opaque_state: 'x' };
  return {
    ...wholeOf(leg, ['One'], 'length'),
    choices: [{ index: 0, text: 'One', finish_reason: 'length', disaggregated_params: params }],
  };
}

const IN_TREE: readonly [Parameters<typeof conformConnector>[0], ConnectorConformanceOptions][] = [
  [
    coordination.EmbeddedKvConnector,
    {
      prefillAnswer: withParams({ kv_connector: 'embedded', do_remote_prefill: true, remote_request_id: 'h-1' }),
      host: { calls: answers({ connectors: ['embedded'] }) },
    },
  ],
  [
    coordination.LmCacheKvConnector,
    {
      prefillAnswer: withParams({ first_tok: 7 }),
      decodeEdits: ['prompt', 'max_tokens', 'min_tokens', 'messages', 'token_ids'],
      host: { calls: answers({ tokens: [1, 2, 3] }) },
    },
  ],
  [coordination.MooncakeKvConnector, { host: { calls: answers({ 0: { engine_id: 'engine-1' } }) } }],
  [coordination.NixlKvConnector, {}],
  [coordination.OffloadingP2pKvConnector, {}],
  [coordination.P2pNcclKvConnector, {}],
  [coordination.SglangKvConnector, {}],
  [coordination.SharedStorageKvConnector, {}],
  [coordination.TrtllmKvConnector, { prefillAnswer: contextAnswer }],
];

describe('a connector that is right', () => {
  it.each(IN_TREE)(
    '%p conforms',
    async (connector, options) => {
      const report = await conformConnector(connector, options);
      expect(() => assertConforms(report)).not.toThrow();
    },
    TIMEOUT_MS,
  );
  it.each([
    ['P before D', SERIAL_CONTRACT],
    ['P and D at once', CONCURRENT_CONTRACT],
  ])('as the double is, with %s', async (_order, contract) => {
    const report = await conformConnector({ name: 'fake', create: () => new FakeConnector(contract) });
    expect(() => assertConforms(report)).not.toThrow();
    expect(report.checks).toHaveLength(19);
  });
});

class EditsTheRequest extends FakeConnector {
  override prefillLeg(...[request, agreed]: Parameters<FakeConnector['prefillLeg']>): InferenceRequest {
    Object.assign(request.body, { x_prefilled: true });
    return super.prefillLeg(request, agreed);
  }
}

class DropsUnknownFields extends FakeConnector {
  override prefillLeg(...args: Parameters<FakeConnector['prefillLeg']>): InferenceRequest {
    const { x_vendor: _, ...body } = super.prefillLeg(...args).body;
    return legOf(args[0], body);
  }
}

class RoundsIntegers extends FakeConnector {
  override decodeLeg(...args: Parameters<FakeConnector['decodeLeg']>): InferenceRequest {
    const { body } = super.decodeLeg(...args);
    return legOf(args[0], 'seed' in body ? { ...body, seed: Number(body['seed']) } : body);
  }
}

class SendsDThePrefill extends FakeConnector {
  override decodeLeg(...args: Parameters<FakeConnector['decodeLeg']>): InferenceRequest {
    return legOf(args[0], { ...super.decodeLeg(...args).body, max_tokens: 1 });
  }
}

class TakesAnyAnswer extends FakeConnector {
  override handoffOf(answer: JsonObject | undefined): coordination.HandoffDescriptor | undefined {
    const params = answer?.['kv_transfer_params'];
    return params === undefined ? undefined : { params: params as JsonObject };
  }
}

class ReleasesAtOnce extends FakeConnector {
  override release(...[handoff]: Parameters<FakeConnector['release']>): Observable<coordination.ReleaseOutcome> {
    super.release(handoff).subscribe();
    return of('freed');
  }
}

class ReleasesOnce extends FakeConnector {
  override release(...[handoff]: Parameters<FakeConnector['release']>): Observable<coordination.ReleaseOutcome> {
    return defer(() => {
      if (this.released.length > 0) throw new Error('released before');
      return super.release(handoff);
    });
  }
}

class NeverFrees extends FakeConnector {
  override release(): Observable<coordination.ReleaseOutcome> {
    return of('unknown');
  }
}

class SendsNoDecode extends FakeConnector {
  override readonly contract = {
    ...SERIAL_CONTRACT,
    cancellation: coordination.serialPlan({ prefilling: 'close', gap: 'decode_and_cancel', transferring: 'close' }),
  };
}

class HasAnOddPlan extends FakeConnector {
  override readonly contract: coordination.KvContract = { ...SERIAL_CONTRACT, leaseMs: -1 };
}

const LEAVES = 'carries out its plan when the client leaves';
const GAP = `${LEAVES} between the prefill leg and the decode leg`;
const SENT = `${LEAVES} when the decode leg is sent`;

const failed = ({ checks }: ConformanceReport): readonly string[] =>
  checks.filter(({ passed }) => !passed).map(({ name }) => name);

describe('a connector that is wrong', () => {
  it.each([
    ["edits the client's request", EditsTheRequest, "leaves the client's request untouched"],
    [
      'drops fields that it does not know',
      DropsUnknownFields,
      'keeps fields that nobody knows, and integers beyond 2^53, in both legs',
    ],
    ['sends D the limits of P', SendsDThePrefill, 'gives D what the client asked for'],
    ['takes any answer', TakesAnyAnswer, 'refuses the answer of another protocol'],
    ['releases at once', ReleasesAtOnce, 'releases only when somebody subscribes'],
    ['releases once', ReleasesOnce, 'releases as often as it is asked, each time with an outcome'],
    ['has no sound contract', HasAnOddPlan, 'has a contract that can be carried out'],
  ])(
    'that %s is red for that, and for nothing else',
    async (_what, connector, expected) => {
      const report = await conformConnector({ name: 'wrong', create: () => new connector() });
      expect(failed(report)).toEqual([expected]);
    },
    TIMEOUT_MS,
  );

  it.each([
    [
      'loses digits',
      RoundsIntegers,
      ['keeps fields that nobody knows, and integers beyond 2^53, in both legs', 'gives D what the client asked for'],
    ],
    ['frees nothing', NeverFrees, [GAP, SENT]],
    ['sends no decode where its plan says so', SendsNoDecode, [GAP]],
  ])(
    'that %s is red for what follows from it',
    async (_what, connector, expected) => {
      const report = await conformConnector({ name: 'wrong', create: () => new connector() });
      expect(failed(report)).toEqual(expected);
    },
    TIMEOUT_MS,
  );

  it('is told of what has to be said of its P', async () => {
    const report = await conformConnector(coordination.EmbeddedKvConnector);
    expect(() => assertConforms(report)).toThrow(/Say in `prefillAnswer` what its P answers/);
  });
});
