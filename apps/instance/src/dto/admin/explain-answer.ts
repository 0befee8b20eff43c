import type { ExplainedLeg, Explanation, RedactedBody, RequestPlan } from '@baton/coordination';
import type { InferenceApi, LegRole } from '@baton/inference';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { APIS } from '../../metrics/known-labels.js';
import {
  LEG_ROLES,
  LeavingStep,
  ManagerVerdict,
  PLAN,
  PoolChoice,
  REDACTED_BODY,
  TimeSplit,
} from './request-decisions.js';

/** A leg as it would be sent. */
export class PlannedLeg implements ExplainedLeg {
  @ApiProperty({ enum: LEG_ROLES })
  role!: LegRole;

  @ApiProperty({ description: 'A pool (prefill, decode), local, or unknown.', example: 'prefill' })
  site!: string;

  @ApiProperty()
  stream!: boolean;

  @ApiProperty({ ...REDACTED_BODY, nullable: true })
  body!: RedactedBody | null;

  @ApiPropertyOptional({ description: 'What of it is known only when it runs.' })
  note?: string;
}

/** What a request would be refused with. */
export class Refusal {
  @ApiProperty({ type: 'integer', example: 503 })
  status!: number;

  @ApiProperty({ type: 'string', nullable: true })
  code!: string | null;

  @ApiProperty()
  message!: string;
}

/** Answer of `POST /admin/explain`. */
export class ExplainAnswer implements Explanation {
  @ApiProperty({ type: 'string', nullable: true, description: 'The id that it was explained under.' })
  id!: string | null;

  @ApiProperty({ enum: APIS })
  api!: InferenceApi;

  @ApiProperty({ type: 'string', nullable: true, example: 'demo-stories' })
  model!: string | null;

  @ApiProperty()
  stream!: boolean;

  @ApiProperty({ description: 'Whether somebody else coordinates it.' })
  isLeg!: boolean;

  @ApiProperty({ description: 'The policies that it was explained on.', example: '3.1' })
  policyVersion!: string;

  @ApiProperty({
    type: 'string',
    nullable: true,
    description: 'Who would answer: a manager, or local; null when it would be refused.',
    example: 'prefill-remote-decode-remote',
  })
  answeredBy!: string | null;

  @ApiProperty({ type: Refusal, nullable: true, description: 'Null when it would not be refused.' })
  refusal!: Refusal | null;

  @ApiProperty({ type: [ManagerVerdict], description: 'In the order in which they would be asked.' })
  managers!: ManagerVerdict[];

  @ApiProperty(PLAN)
  plan!: RequestPlan;

  @ApiProperty({ type: [PoolChoice], description: 'In the order in which endpoints would be chosen.' })
  considered!: PoolChoice[];

  @ApiProperty({ type: [PlannedLeg] })
  legs!: PlannedLeg[];

  @ApiProperty({ type: TimeSplit, nullable: true, description: 'Null when it has no deadline.' })
  deadline!: TimeSplit | null;

  @ApiProperty({ type: [LeavingStep], description: 'What would be done if its client left; empty without a handoff.' })
  cancellation!: LeavingStep[];
}
