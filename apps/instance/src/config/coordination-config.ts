import type { ManagerSettings } from '@baton/coordination';
import type { DialectName, EndpointOptions } from '@baton/remotes';
import { ValidateNested } from 'class-validator';
import { DialectText } from './dialect-text.js';
import { EndpointList } from './endpoint-list.js';
import { ManagerList } from './manager-list.js';
import {
  Choice,
  DEFAULT_EVENT_BYTES,
  EventBytes,
  Milliseconds,
  RequiredText,
  Setting,
  Text,
  WholeNumber,
} from './setting.js';

const MAX_PER_SECOND = 1_000_000;
const MAX_LEGS = 1_000_000;
const MAX_RECORDS = 65_536;

/**
 * The instances, or engine servers, that legs of one role go to. The answer to a prefill leg is not streamed and comes with
 * its head, as soon as the prompt is read, so that the bound of its head is the one of streamed answers.
 */
export class PoolConfig {
  @EndpointList('Where legs of this role go')
  readonly endpoints: readonly EndpointOptions[] = [];

  @Text('Key for those endpoints that have none of their own, sent as a bearer token', { isSecret: true })
  readonly apiKey: string = '';

  @DialectText('What they speak; other instances of Baton speak openai')
  readonly dialect: DialectName = 'openai';

  @Milliseconds('To open a connection, in ms')
  readonly connectTimeoutMs: number = 1_000;

  @Milliseconds('From the request sent to the head of a streamed answer, and of every answer to a prefill leg, in ms')
  readonly headTimeoutMs: number = 60_000;

  @Milliseconds('From the request sent to the head of an answer that is not streamed, in ms; not used for prefill')
  readonly answerTimeoutMs: number = 1_800_000;

  @Milliseconds('From the head of a streamed answer to its first token, in ms; some servers send the head at once')
  readonly firstTokenTimeoutMs: number = 60_000;

  @Milliseconds('Between two tokens of a streamed answer, or two pieces of another one, in ms; comments do not count')
  readonly idleTimeoutMs: number = 30_000;

  @Milliseconds('For a whole leg, from its begin to the end of its answer, in ms')
  readonly totalTimeoutMs: number = 1_800_000;

  @WholeNumber('Legs at once on each endpoint', { min: 1, max: MAX_LEGS })
  readonly maxInFlight: number = 1_024;

  @WholeNumber('Legs that may wait for an endpoint; 0 lets none wait', { min: 0, max: MAX_LEGS })
  readonly maxWaiting: number = 1_024;

  @Milliseconds('Longest wait for an endpoint, in ms')
  readonly waitTimeoutMs: number = 10_000;

  @WholeNumber('Failures in a row after which an endpoint is left alone for a while; 0: it never is', {
    min: 0,
    max: MAX_LEGS,
  })
  readonly breakerFailures: number = 10;

  @Milliseconds('How long such an endpoint is left alone, a fifth more or less, in ms')
  readonly breakerOpenMs: number = 5_000;

  @EventBytes('Largest event of a streamed answer, in bytes')
  readonly maxEventBytes: number = DEFAULT_EVENT_BYTES;
}

/** How requests are split between this instance and others. */
export class CoordinationConfig {
  @Setting(
    {
      description: 'KV connector, for example embedded or nixl; empty answers every request on this instance',
      allowed:
        'the name of a connector with at least one of coordination.prefill.endpoints or coordination.decode.endpoints, ' +
        'or empty',
    },
    (value, section) =>
      value === '' ||
      (typeof value === 'string' &&
        section instanceof CoordinationConfig &&
        section.prefill.endpoints.length + section.decode.endpoints.length > 0),
  )
  readonly connector: string = '';

  @RequiredText('Endpoint picker that chooses among endpoints')
  readonly picker: string = 'static';

  @ValidateNested()
  readonly prefill: PoolConfig = new PoolConfig();

  @ValidateNested()
  readonly decode: PoolConfig = new PoolConfig();

  @ManagerList('Changes to managers: whether and in which order they are asked, and for which requests')
  readonly managers: readonly ManagerSettings[] = [];

  @Choice('Where changes of policies are kept: memory loses them with the process', ['memory', 'file'])
  readonly policyState: 'memory' | 'file' = 'memory';

  @Setting(
    {
      description: 'Folder for policies that outlive the process; processes that share it share them',
      allowed: 'a path, not empty when coordination.policyState is file',
    },
    (value, section) =>
      typeof value === 'string' &&
      (value !== '' || !(section instanceof CoordinationConfig && section.policyState === 'file')),
  )
  readonly policyStateDirectory: string = '';

  @WholeNumber('Requests whose course is remembered for /admin/requests; 0 for none', { min: 0, max: MAX_RECORDS })
  readonly requestRecords: number = 256;

  @WholeNumber('Legs that may be sent once more, in percent of all requests', { min: 0, max: 100 })
  readonly retryBudgetPercent: number = 20;

  @WholeNumber('Legs that may be sent once more besides, per second', { min: 0, max: MAX_PER_SECOND })
  readonly retryBudgetPerSecond: number = 10;

  @Milliseconds('For freeing the KV of a request whose client has gone, in ms')
  readonly releaseTimeoutMs: number = 5_000;

  @Milliseconds('How long a KV transfer may go on for a client that has gone, in ms')
  readonly transferTimeoutMs: number = 30_000;

  @Milliseconds('How long a prefill may go on for a client that has gone, so that its KV can be freed, in ms', 0)
  readonly abandonedPrefillMs: number = 250;

  @Milliseconds(
    "How long prefill instances keep KV that nobody takes, in ms; 0 takes the default of the connector's engine",
    0,
  )
  readonly leaseMs: number = 0;

  @Choice('With a handoff of which half the lease is over: prefill again (once), or plain: D reads the prompt', [
    'prefill',
    'plain',
  ])
  readonly staleHandoff: 'prefill' | 'plain' = 'prefill';
}
