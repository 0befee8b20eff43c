import type { InferenceRequest } from '@baton/inference';
import type { TestHostOptions } from '../../host/test-host-options.js';

/** What {@link conformPicker} is told of a picker. Everything is optional. */
export interface PickerConformanceOptions {
  /** A request to pick for; `index` counts, so that sessions and prompts can differ. Default: short chats with headers of a session. */
  readonly request?: (index: number) => InferenceRequest;
  readonly host?: TestHostOptions;
  /** How many picks are made to look for a leak. Default 10,000. */
  readonly picks?: number;
  /** Longest time until a pick, in ms. Default 1,000 ms. */
  readonly pickTimeoutMs?: number;
}
