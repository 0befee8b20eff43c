import { randomBytes } from 'node:crypto';

/** What this process shows to its own side channel. Made at its start, and known to nobody else. */
export const OWN_KEY = randomBytes(32).toString('hex');
