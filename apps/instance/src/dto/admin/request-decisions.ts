import type {
  AskedManager,
  CancellationAction,
  CancellationStep,
  Consideration,
  DeadlineSplit,
  KvOwner,
  Phase,
} from '@baton/coordination';
import type { ConsideredEndpoint, LegRole, Verdict } from '@baton/inference';
import { ApiProperty, ApiPropertyOptional, type ApiPropertyOptions } from '@nestjs/swagger';
import { PHASES, words } from '../../metrics/known-labels.js';

export const LEG_ROLES = words<LegRole>({ prefill: true, decode: true, whole: true, release: true });

const VERDICTS = words<Verdict>({
  took: true,
  declined: true,
  failed: true,
  switched_off: true,
  condition: true,
  canary: true,
  shadow_took: true,
  shadow_declined: true,
  shadow_failed: true,
});
const OWNERS = words<KvOwner>({ nobody: true, prefill: true, decode: true, both: true });
const ACTIONS = words<CancellationAction>({
  nothing: true,
  close: true,
  await_answer: true,
  release: true,
  decode_and_cancel: true,
  finish: true,
});

const SITE = {
  type: 'string',
  description: 'A pool (prefill, decode), local, or unknown.',
  example: 'decode',
} as const;

/** How a request is run: one of the forms of `RequestPlan`. */
export const PLAN = {
  description: 'Two legs (split), one (whole), or what its manager does not say (unknown).',
  oneOf: [
    form('split', {
      connector: { type: 'string', example: 'nixl' },
      order: { type: 'string', enum: ['serial', 'concurrent'], description: 'Whether decode waits for prefill.' },
      prefill: SITE,
      decode: SITE,
    }),
    form('whole', { site: SITE }),
    form('unknown', {}),
  ],
} satisfies ApiPropertyOptions;

/** A body as records have it. Which fields it has is the client's matter. */
export const REDACTED_BODY = {
  type: 'object',
  additionalProperties: true,
  description: 'Its body; what may be of a prompt is replaced by its size.',
  example: { model: 'demo-stories', prompt: '[redacted: 21 bytes]', max_tokens: 16 },
} as const;

/** A manager that was asked, or passed over. */
export class ManagerVerdict implements AskedManager {
  @ApiProperty({ example: 'prefill-remote-decode-remote' })
  manager!: string;

  @ApiProperty({
    enum: VERDICTS,
    description:
      'condition, canary: it is not asked, since its condition does not hold or the request is not in its share. ' +
      'shadow_...: it is asked for the record only.',
  })
  verdict!: Verdict;

  @ApiPropertyOptional({ description: 'Why, where more is known.' })
  detail?: string;
}

/** An endpoint that a leg could run on. */
export class EndpointChoice implements ConsideredEndpoint {
  @ApiProperty({ example: '10.0.0.7:8000' })
  name!: string;

  @ApiPropertyOptional({ description: 'Why it cannot be chosen; left out when it can.', example: 'breaker_open' })
  excluded?: string;
}

/** The endpoints among which the site of a leg is chosen. */
export class PoolChoice implements Consideration {
  @ApiProperty({ description: 'The pool.', example: 'decode' })
  leg!: string;

  @ApiProperty({ type: [EndpointChoice] })
  endpoints!: EndpointChoice[];
}

/** How the time of a request is divided, in ms from its start. */
export class TimeSplit implements DeadlineSplit {
  @ApiProperty({ description: 'For the whole answer.', example: 60000 })
  totalMs!: number;

  @ApiProperty({
    type: 'number',
    nullable: true,
    description: 'When the prefill has to be done; null for no bound of its own.',
    example: 30000,
  })
  prefillMs!: number | null;
}

/** What is done for the KV of a request whose client leaves in one phase. */
export class LeavingStep implements CancellationStep {
  @ApiProperty({ enum: PHASES })
  phase!: Phase;

  @ApiProperty({ enum: OWNERS, description: 'Who holds KV then.' })
  owner!: KvOwner;

  @ApiProperty({ enum: ACTIONS })
  action!: CancellationAction;

  @ApiProperty({
    type: 'number',
    nullable: true,
    description: 'The most that it takes, in ms; null when nothing is waited for.',
    example: 5000,
  })
  boundMs!: number | null;
}

function form(kind: string, properties: Readonly<Record<string, object>>) {
  const required = ['kind', ...Object.keys(properties)];
  return { type: 'object', required, properties: { kind: { type: 'string', enum: [kind] }, ...properties } };
}
