import {
  concurrentPlan,
  decodeBody,
  prefillBody,
  pullParams,
  serialPlan,
  withKvTransferParams,
  type HandoffDescriptor,
  type KvConnector,
  type KvContract,
  type ReleaseOutcome,
} from '@baton/coordination';
import { legOf, newId, type InferenceRequest, type JsonObject } from '@baton/inference';
import { defer, of, type Observable } from 'rxjs';

/** The contract of a protocol in which D is sent when P has answered, and whose KV can be freed by a call. */
export const SERIAL_CONTRACT: KvContract = {
  order: 'serial',
  decoder: 'deferred',
  prefillMayAnswer: false,
  leaseMs: 30_000,
  cancellation: serialPlan({ prefilling: 'close', gap: 'release', transferring: 'close' }),
};

/** The contract of a protocol in which P and D are sent at once. */
export const CONCURRENT_CONTRACT: KvContract = {
  order: 'concurrent',
  decoder: 'first',
  prefillMayAnswer: false,
  cancellation: concurrentPlan({ gap: 'nothing' }),
};

/** A connector of the protocol that `FakeEngines` speak. */
export class FakeConnector implements KvConnector {
  /** The handoffs that were released, by their id, in order. */
  readonly released: string[] = [];

  /** @param free frees the KV of a handoff; returns whether it was there. */
  constructor(
    readonly contract: KvContract = SERIAL_CONTRACT,
    public free: (id: string) => boolean = () => true,
  ) {}

  rendezvous(): Observable<JsonObject> {
    return defer(() => of(this.contract.order === 'concurrent' ? { room: newId() } : {}));
  }

  prefillLeg(request: InferenceRequest, agreed: JsonObject): InferenceRequest {
    const { api, body } = request;
    const params = { do_remote_decode: true, kv_connector: 'fake', ...agreed };
    return legOf(request, withKvTransferParams(api, prefillBody(api, body), params));
  }

  handoffOf(answer: JsonObject | undefined, agreed: JsonObject): HandoffDescriptor | undefined {
    if (answer === undefined) {
      return {
        params: { do_remote_prefill: true, kv_connector: 'fake', remote_request_id: agreed['room'], ...agreed },
      };
    }
    const params = pullParams(answer, 'fake', 'none');
    return params && { params };
  }

  decodeLeg(request: InferenceRequest, handoff: HandoffDescriptor | undefined): InferenceRequest {
    const { api } = request;
    const body = decodeBody(api, request.body);
    return legOf(request, handoff === undefined ? body : withKvTransferParams(api, body, handoff.params));
  }

  release({ params }: HandoffDescriptor): Observable<ReleaseOutcome> {
    return defer(() => {
      const id = String(params['remote_request_id']);
      this.released.push(id);
      this.free(id);
      return of<ReleaseOutcome>('freed');
    });
  }
}

/** A connector of a protocol that only the doubles of this package speak. */
export function fakeConnector(contract: KvContract = SERIAL_CONTRACT): FakeConnector {
  return new FakeConnector(contract);
}
