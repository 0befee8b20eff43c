import type { LegRecord, RedactedBody, RequestPlan, RequestRecord, StreamEndReason } from '@baton/coordination';
import type { InferenceApi, LegRole } from '@baton/inference';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { APIS, END_REASONS } from '../../metrics/known-labels.js';
import {
  LEG_ROLES,
  LeavingStep,
  ManagerVerdict,
  PLAN,
  PoolChoice,
  REDACTED_BODY,
  TimeSplit,
} from './request-decisions.js';

/** Times are ms since the start of the request. */
const TIME = { type: 'number', nullable: true, example: 12.25 } as const;

/** A leg that was sent. */
export class SentLeg implements LegRecord {
  @ApiProperty()
  id!: string;

  @ApiProperty({ enum: LEG_ROLES })
  role!: LegRole;

  @ApiProperty({ description: 'host:port, or local.', example: '10.0.0.7:8000' })
  endpoint!: string;

  @ApiProperty()
  stream!: boolean;

  @ApiProperty(REDACTED_BODY)
  body!: RedactedBody;

  @ApiProperty({ ...TIME, description: 'When its answer had to be there, in ms; null when nobody said.' })
  deadlineMs!: number | null;

  @ApiProperty({ description: 'When it was sent, in ms since the start of the request.', example: 0.5 })
  sentMs!: number;

  @ApiProperty({ ...TIME, description: 'When the first part of its answer came, in ms; null while none has.' })
  firstPartMs!: number | null;

  @ApiProperty({ ...TIME, description: 'When it ended, in ms; null while it runs.' })
  endedMs!: number | null;

  @ApiProperty({
    type: 'string',
    nullable: true,
    enum: ['complete', 'failed', 'left', null],
    description: 'Null while it runs.',
  })
  outcome!: 'complete' | 'failed' | 'left' | null;

  @ApiPropertyOptional({ description: 'Why it failed.' })
  reason?: string;
}

/** What became of a handoff. */
export class HandoffSettlement {
  @ApiProperty({ example: 'taken' })
  settlement!: string;

  @ApiProperty({ description: 'How long KV was held for nobody, in ms.', example: 0 })
  strandedMs!: number;

  @ApiProperty({ description: 'When, in ms since the start of the request.', example: 20.5 })
  atMs!: number;
}

/** Answer of `GET /admin/requests/{id}`. */
export class RecordedRequest implements RequestRecord {
  @ApiProperty({ description: "The client's id, as its answer had it in `x-request-id`." })
  id!: string;

  @ApiProperty({ description: 'The id that was made here; the ids of its legs begin with it.' })
  key!: string;

  @ApiProperty({ enum: APIS })
  api!: InferenceApi;

  @ApiProperty({ type: 'string', nullable: true, example: 'demo-stories' })
  model!: string | null;

  @ApiProperty()
  stream!: boolean;

  @ApiProperty({ description: "The label of the caller's key.", example: 'shop' })
  caller!: string;

  @ApiProperty({ description: 'Whether somebody else coordinates it.' })
  isLeg!: boolean;

  @ApiProperty({ format: 'date-time', example: '2026-11-23T01:26:49.000Z' })
  startedAt!: string;

  @ApiProperty({ description: 'The policies that it was dispatched on.', example: '3.1' })
  policyVersion!: string;

  @ApiProperty({
    type: 'string',
    nullable: true,
    description: 'Who answers: a manager, or local; null when it was refused before.',
    example: 'prefill-remote-decode-remote',
  })
  answeredBy!: string | null;

  @ApiProperty({ type: [ManagerVerdict], description: 'In the order in which they were asked.' })
  managers!: ManagerVerdict[];

  @ApiProperty(PLAN)
  plan!: RequestPlan;

  @ApiProperty({ type: [PoolChoice], description: 'One for each choice of an endpoint.' })
  considered!: PoolChoice[];

  @ApiProperty({ type: [SentLeg] })
  legs!: SentLeg[];

  @ApiProperty({ type: TimeSplit, nullable: true, description: 'Null when it has no deadline.' })
  deadline!: TimeSplit | null;

  @ApiProperty({ type: [LeavingStep], description: 'What would be done if its client left; empty without a handoff.' })
  cancellation!: LeavingStep[];

  @ApiProperty({
    type: 'string',
    nullable: true,
    description: 'In which phase its client left, or it was ended; null when that did not happen.',
  })
  leftDuring!: string | null;

  @ApiProperty({ type: [HandoffSettlement], description: 'What became of its handoffs.' })
  settlements!: HandoffSettlement[];

  @ApiProperty({ type: 'string', nullable: true, enum: [...END_REASONS, null], description: 'Null while it runs.' })
  endReason!: StreamEndReason | null;

  @ApiProperty({ ...TIME, description: 'When it ended for its client, in ms; null while it runs.' })
  endedMs!: number | null;

  @ApiProperty({ type: 'integer', description: 'What was left out, since a record is bounded.', example: 0 })
  omitted!: number;
}

/** Answer of `GET /admin/requests`. */
export class RecordedRequests {
  @ApiProperty({ type: [RecordedRequest], description: 'The newest first.' })
  requests!: RecordedRequest[];
}
