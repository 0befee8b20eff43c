import { randomBytes } from 'node:crypto';

/** A number of its own for each task; no call takes it. */
export const nextRunId = (): string => `task-${randomBytes(8).toString('hex')}`;
