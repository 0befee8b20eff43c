import type { DisaggregateWhen } from '@baton/coordination';
import { ApiProperty } from '@nestjs/swagger';
import { DisaggregateWhenFields } from './policy-requests.js';

const COUNT = { type: 'integer', example: 0 } as const;

/** What became of the requests that a manager was asked for, since this process has started. */
export class ManagerCounters {
  @ApiProperty({ ...COUNT, description: 'Times that it was asked.' })
  asked!: number;

  @ApiProperty({ ...COUNT, description: 'Requests that it took.' })
  took!: number;

  @ApiProperty({ ...COUNT, description: 'Requests that it declined.' })
  declined!: number;

  @ApiProperty({ ...COUNT, description: 'Requests that it refused with an error for the client.' })
  refused!: number;

  @ApiProperty({ ...COUNT, description: 'Requests that it lost by a fault of its own.' })
  failed!: number;

  @ApiProperty({ ...COUNT, description: 'Requests that it was not asked for: its condition, or its canary.' })
  skipped!: number;

  @ApiProperty({ ...COUNT, description: 'Requests that it would have taken, while it was a shadow.' })
  shadowTook!: number;

  @ApiProperty({ ...COUNT, description: 'Requests that it would have declined, while it was a shadow.' })
  shadowDeclined!: number;

  @ApiProperty({ ...COUNT, description: 'Requests that it would have lost, while it was a shadow.' })
  shadowFailed!: number;
}

/** A manager, and what is in force for it. */
export class ManagerState {
  @ApiProperty({ example: 'prefill-remote-decode-remote' })
  name!: string;

  @ApiProperty({ description: 'in-tree, or the plugin that it is of.', example: 'hedged-prefill@1.0.0' })
  origin!: string;

  @ApiProperty({ description: 'Whether it is to be asked.' })
  enabled!: boolean;

  @ApiProperty({
    description: 'Its plugin had too many faults in this process: it is not asked until that is loaded again.',
  })
  isSwitchedOff!: boolean;

  @ApiProperty({
    type: 'integer',
    nullable: true,
    description: 'When it is asked, counted from 1; null when it is not asked.',
    example: 1,
  })
  position!: number | null;

  @ApiProperty({ type: 'integer', description: 'A lower number is asked first.', example: -10 })
  priority!: number;

  @ApiProperty({ type: DisaggregateWhenFields, nullable: true, description: 'The requests that it is asked for.' })
  disaggregateWhen!: DisaggregateWhen | null;

  @ApiProperty({ description: 'The share of those that it is asked for, in percent.', example: 100 })
  canaryPercent!: number;

  @ApiProperty({
    type: 'string',
    nullable: true,
    description: 'The header whose values are counted to that share or not.',
  })
  canaryHeader!: string | null;

  @ApiProperty({ description: 'Whether it is asked and written down only.' })
  shadow!: boolean;

  @ApiProperty({ type: ManagerCounters })
  counters!: ManagerCounters;
}

/** Answer of `GET /admin/policies`, and of what changes them. */
export class Policies {
  @ApiProperty({ type: 'integer', description: 'Rises by one with each change; also the ETag.', example: 3 })
  version!: number;

  @ApiProperty({ description: 'What answers call these policies in `x-baton-policy-version`.', example: '3.1' })
  snapshot!: string;

  @ApiProperty({
    type: [ManagerState],
    description: 'Every manager, in the order in which those that are enabled are asked.',
  })
  managers!: ManagerState[];

  @ApiProperty({
    type: [String],
    description: 'Managers that are not there, with policies of their own: these are in force when they come.',
    example: [],
  })
  absent!: string[];
}

/** One field of a manager that has changed. */
export class PolicyDifference {
  @ApiProperty({ example: 'remote' })
  manager!: string;

  @ApiProperty({ example: 'priority' })
  field!: string;

  @ApiProperty({ description: 'What it was; null for nothing.', nullable: true, oneOf: ANY() })
  from!: unknown;

  @ApiProperty({ description: 'What it is; null for nothing.', nullable: true, oneOf: ANY() })
  to!: unknown;
}

/** One change of the policies. */
export class PolicyHistoryEntry {
  @ApiProperty({ type: 'integer', example: 3 })
  version!: number;

  @ApiProperty({ description: 'What answers called the policies in this process right after it.', example: '3.1' })
  snapshot!: string;

  @ApiProperty({ format: 'date-time', example: '2026-11-23T01:26:49.000Z' })
  at!: string;

  @ApiProperty({ description: "The label of an operator's key, or baton.", example: 'ops' })
  who!: string;

  @ApiProperty({ type: 'string', nullable: true })
  reason!: string | null;

  @ApiProperty({ enum: ['change', 'rollback'] })
  action!: 'change' | 'rollback';

  @ApiProperty({ type: [PolicyDifference] })
  diff!: PolicyDifference[];
}

/** Answer of `GET /admin/policies/history`. */
export class PolicyHistory {
  @ApiProperty({ type: [PolicyHistoryEntry], description: 'The newest first.' })
  history!: PolicyHistoryEntry[];
}

function ANY(): { type: string }[] {
  return ['string', 'number', 'boolean', 'object', 'array'].map((type) => ({ type }));
}
