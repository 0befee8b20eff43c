import type { SiteSource } from '@baton/coordination';
import { InferenceError } from '@baton/inference';
import { map } from 'rxjs';

/** RFC 7240, with the preference that llm-d's coordinator and endpoint picker agree on. */
const IF_AVAILABLE = { prefer: 'if-available' };

/** The sites of `source`, where a leg runs only if its prompt is cached there. Legs that run elsewhere do not have the header. */
export const ifAvailable = (source: SiteSource): SiteSource => ({
  ...(source.name === undefined ? {} : { name: source.name }),
  pick: (request, options) =>
    source.pick(request, options).pipe(
      map((site) => ({
        ...site,
        run: (leg) => site.run({ ...leg, headers: { ...leg.headers, ...IF_AVAILABLE } }),
      })),
    ),
});

/** Whether a decode instance has said that the prompt is not cached. */
export const isNotAvailable = (error: unknown): boolean => error instanceof InferenceError && error.status === 412;
