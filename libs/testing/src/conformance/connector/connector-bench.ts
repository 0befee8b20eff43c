import type { HandoffDescriptor, KvConnector, LegSites } from '@baton/coordination';
import {
  inferenceRequest,
  kvTransferParams,
  type InferenceApi,
  type InferenceRequest,
  type JsonObject,
} from '@baton/inference';
import type { LegSite } from '@baton/remotes';
import { FakeConnector } from '../../doubles/fake-connector.js';
import type { FakeRemotes } from '../../doubles/fake-remotes.js';
import { wholeOf } from '../../doubles/token-answers.js';
import type { TestHost } from '../../host/test-host.js';
import type { VirtualTime } from '../../time/virtual-time.js';
import { must, saidBy } from '../check-failure.js';
import { endHost, hosted, nameOf } from '../host-of.js';
import type { ConformanceSubject } from '../subject.js';
import { detailed } from '../manager/requests.js';
import type { ConnectorConformanceOptions } from './connector-options.js';

const AGREEMENT_MS = 60_000;

/** What is known once P has answered. */
export interface HandedOver {
  readonly request: InferenceRequest;
  readonly agreed: JsonObject;
  readonly prefill: InferenceRequest;
  readonly handoff: HandoffDescriptor;
}

/** A connector in a host of its own. */
export class ConnectorBench {
  constructor(
    readonly time: VirtualTime,
    readonly host: TestHost,
    readonly connector: KvConnector,
    readonly options: ConnectorConformanceOptions,
  ) {
    host.engines.prefillAnswer = (leg) => this.prefillAnswer(leg);
  }

  get isConcurrent(): boolean {
    return this.connector.contract.order === 'concurrent';
  }

  /** P's answer to its leg. */
  prefillAnswer(leg: InferenceRequest): JsonObject {
    return this.options.prefillAnswer?.(leg) ?? defaultAnswer(leg);
  }

  /** The sites of both legs. */
  get sites(): LegSites & { readonly decode: LegSite } {
    return { prefill: siteOf(this.host.prefill), decode: siteOf(this.host.decode) };
  }

  /** @throws CheckFailure when nothing, or more than one thing, is agreed on. */
  async agree(request: InferenceRequest): Promise<JsonObject> {
    if (this.connector.rendezvous === undefined) return {};
    const agreed: JsonObject[] = [];
    let error: unknown;
    const { prefill, decode } = this.sites;
    const sites = { prefill, decode: this.connector.contract.decoder === 'first' ? decode : undefined };
    const subscription = this.connector.rendezvous(request, sites).subscribe({
      next: (emitted) => agreed.push(emitted),
      error: (thrown: unknown) => (error = thrown),
    });
    await this.time.advanceUntil(() => agreed.length > 0 || error !== undefined, AGREEMENT_MS);
    await this.time.advance(1);
    subscription.unsubscribe();
    must(
      error === undefined,
      `rendezvous failed: ${saidBy(error)}. Say in \`host.calls\` what is answered to its calls.`,
    );
    const [first] = agreed;
    must(first !== undefined && agreed.length === 1, `rendezvous emitted ${agreed.length} times, not once.`);
    return first;
  }

  /** Goes as far as P's answer. @throws CheckFailure when nothing is handed over. */
  async handOver(request: InferenceRequest): Promise<HandedOver> {
    const agreed = await this.agree(request);
    const prefill = this.connector.prefillLeg(request, agreed);
    const answer = this.isConcurrent ? undefined : this.prefillAnswer(prefill);
    const handoff = this.#handoffOf(answer, agreed);
    must(
      handoff !== undefined,
      'It handed nothing over: say in `prefillAnswer` what a P answers that has left KV behind.',
    );
    return { request, agreed, prefill, handoff };
  }

  #handoffOf(answer: JsonObject | undefined, agreed: JsonObject): HandoffDescriptor | undefined {
    try {
      return this.connector.handoffOf(answer, agreed);
    } catch (error) {
      must(
        false,
        `handoffOf refused the answer of a P: ${saidBy(error)}. Say in \`prefillAnswer\` what its P answers.`,
      );
      return undefined;
    }
  }
}

/** What the checks of connectors are run with. */
export class ConnectorChecking {
  constructor(
    readonly time: VirtualTime,
    private readonly subject: ConformanceSubject<KvConnector>,
    readonly options: ConnectorConformanceOptions,
  ) {}

  /** Runs `look` in a host of its own. */
  async once(look: (bench: ConnectorBench) => Promise<void>): Promise<void> {
    const { host, instance } = await hosted(this.time, this.subject, this.options.host);
    if (instance instanceof FakeConnector) instance.free = (id) => host.engines.free(id);
    host.useConnector(nameOf(this.subject), instance);
    try {
      await look(new ConnectorBench(this.time, host, instance, this.options));
    } finally {
      await endHost(this.time, host);
    }
  }

  /** Runs `look` for a request of each api that the protocol is for, streamed and not. */
  async each(look: (bench: ConnectorBench, request: InferenceRequest) => Promise<void>): Promise<void> {
    await this.once(async (bench) => {
      for (const api of this.options.apis ?? APIS) {
        for (const stream of [true, false]) await look(bench, detailed(requestOf(api, stream)));
      }
    });
  }
}

const APIS: readonly InferenceApi[] = ['completions', 'chat', 'generate'];

function requestOf(api: InferenceApi, stream: boolean): InferenceRequest {
  const bodies: Readonly<Record<InferenceApi, JsonObject>> = {
    completions: { prompt: 'Count to five.' },
    chat: { messages: [{ role: 'user', content: 'Count to five.' }], tools: [] },
    generate: {
      token_ids: [1, 2, 3],
      sampling_params: { max_tokens: 7, n: 1, x_vendor_limit: 9_007_199_254_740_995n },
    },
  };
  return inferenceRequest(api, { model: 'fake-model', ...bodies[api], stream });
}

function siteOf(pool: FakeRemotes): LegSite {
  const [endpoint] = pool.endpoints;
  must(endpoint !== undefined, `The ${pool.role} pool of the host is empty.`);
  return { endpoint, run: (leg) => pool.engines.run(pool.role, endpoint.name, leg) };
}

/** As vLLM's own connectors say it. */
function defaultAnswer(leg: InferenceRequest): JsonObject {
  const params: JsonObject = {
    remote_engine_id: 'engine-1',
    remote_block_ids: [[1, 2]],
    remote_request_id: leg.id,
    ...kvTransferParams(leg.body),
    do_remote_decode: false,
    do_remote_prefill: true,
  };
  for (const [field, value] of Object.entries(params)) if (value === null) Reflect.deleteProperty(params, field);
  return { ...wholeOf(leg, ['One'], 'length'), kv_transfer_params: params };
}
