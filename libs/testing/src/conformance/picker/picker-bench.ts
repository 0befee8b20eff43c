import { inferenceRequest, type InferenceRequest } from '@baton/inference';
import { parseEndpoint, type Endpoint, type EndpointPicker } from '@baton/remotes';
import type { Subscription } from 'rxjs';
import { fakeEndpoints } from '../../doubles/fake-remotes.js';
import type { TestHost } from '../../host/test-host.js';
import type { VirtualTime } from '../../time/virtual-time.js';
import { must } from '../check-failure.js';
import { endHost, hosted } from '../host-of.js';
import type { ConformanceSubject } from '../subject.js';
import type { PickerConformanceOptions } from './picker-options.js';

const PICK_TIMEOUT_MS = 1_000;

/** A pick that somebody has asked for. */
export interface Pick {
  readonly chosen: readonly Endpoint[];
  /** Undefined while it is held. */
  readonly end: { readonly error?: unknown } | undefined;
  giveBack(): void;
}

/** A picker in a host of its own. */
export class PickerBench {
  constructor(
    readonly time: VirtualTime,
    readonly host: TestHost,
    readonly picker: EndpointPicker,
    readonly options: PickerConformanceOptions,
  ) {}

  request(index = 0): InferenceRequest {
    return this.options.request?.(index) ?? sessionRequest(index);
  }

  /** Asks for an endpoint and waits until there is one, or an error. @throws CheckFailure when there is neither in time. */
  async pick(endpoints: readonly Endpoint[], request = this.request()): Promise<Pick> {
    const pick = begin(this.picker.pick(request, endpoints));
    const limitMs = this.options.pickTimeoutMs ?? PICK_TIMEOUT_MS;
    const isThere = (): boolean => pick.chosen.length > 0 || pick.end !== undefined;
    // Most pick in the same moment.
    must(isThere() || (await this.time.advanceUntil(isThere, limitMs)), `It had picked nothing after ${limitMs} ms.`);
    return pick;
  }

  /** As {@link pick}. @throws CheckFailure when there is no endpoint. */
  async picked(
    endpoints: readonly Endpoint[],
    request = this.request(),
  ): Promise<Pick & { readonly endpoint: Endpoint }> {
    const pick = await this.pick(endpoints, request);
    const [endpoint] = pick.chosen;
    must(endpoint !== undefined, `It picked none of ${endpoints.length} endpoint(s).`);
    must(
      endpoints.includes(endpoint),
      `It picked ${endpoint.name}, which it was not offered, or a copy of what it was.`,
    );
    return Object.assign(pick, { endpoint });
  }
}

/** What the checks of pickers are run with. */
export class PickerChecking {
  constructor(
    readonly time: VirtualTime,
    private readonly subject: ConformanceSubject<EndpointPicker>,
    private readonly options: PickerConformanceOptions,
  ) {}

  async once(look: (bench: PickerBench) => Promise<void>): Promise<void> {
    const { host, instance } = await hosted(this.time, this.subject, this.options.host);
    try {
      await look(new PickerBench(this.time, host, instance, this.options));
    } finally {
      await endHost(this.time, host);
    }
  }
}

/** Endpoints that nobody can dial. */
export function endpointsOf(count: number, name = 'picked'): readonly Endpoint[] {
  return fakeEndpoints(name, count).map(parseEndpoint);
}

function begin(picking: ReturnType<EndpointPicker['pick']>): Pick {
  const chosen: Endpoint[] = [];
  const pick: { end: Pick['end'] } = { end: undefined };
  const subscription: Subscription = picking.subscribe({
    next: (endpoint) => chosen.push(endpoint),
    error: (error: unknown) => (pick.end = { error }),
    complete: () => (pick.end = {}),
  });
  return Object.assign(pick, { chosen, giveBack: () => subscription.unsubscribe() });
}

function sessionRequest(index: number): InferenceRequest {
  const body = {
    model: 'fake-model',
    messages: [{ role: 'user', content: `Question ${index}` }],
    user: `user-${index}`,
  };
  return inferenceRequest('chat', body, { clientHeaders: { 'x-session-id': `session-${index}` } });
}
