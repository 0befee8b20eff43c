import type { LocalExecution } from '@baton/coordination';
import type { InferenceRequest, ResponsePart } from '@baton/inference';
import { defer, finalize, tap, type Observable } from 'rxjs';
import { FakeEngines, kindOf, type LegAnswer } from './fake-engines.js';
import { LegLog, type RecordedLeg } from './leg-log.js';

/** This instance, as a manager gets it. */
export interface FakeLocalExecution {
  /** What `dispatch` is given. */
  (leg: InferenceRequest): Observable<ResponsePart>;
  /** The legs that were subscribed to here, in order. */
  readonly legs: readonly RecordedLeg[];
  /** How often it was called; calling alone begins nothing. */
  readonly calls: number;
}

/** What a {@link fakeLocalExecution} is made with. */
export interface FakeLocalOptions {
  /** The engines that it shares with others. Default: its own. */
  readonly engines?: FakeEngines;
  /** How legs are answered; see {@link FakeEngines.answer}. It can fail, stay silent or be slow. */
  readonly answer?: LegAnswer;
}

/**
 * A scripted execution of legs on this instance. Like the real one, it fails a leg that begins before the last one has begun to
 * answer.
 */
export function fakeLocalExecution({ engines = new FakeEngines(), answer }: FakeLocalOptions = {}): FakeLocalExecution {
  if (answer !== undefined) engines.answer = answer;
  const log = new LegLog();
  let calls = 0;
  let starting: InferenceRequest | undefined;
  const execution: LocalExecution = (leg) => {
    calls += 1;
    return defer(() => {
      if (starting !== undefined) {
        throw new Error('Legs run on this instance one after the other: the last one has not been answered yet.');
      }
      starting = leg;
      const started = (): void => {
        if (starting === leg) starting = undefined;
      };
      const place = { side: 'local', at: 'here', kind: kindOf(leg, 'local') } as const;
      return log.record(place, leg, engines.run('local', 'here', leg)).pipe(tap(started), finalize(started));
    });
  };
  return Object.defineProperties(execution, {
    legs: { get: () => log.legs },
    calls: { get: () => calls },
  }) as FakeLocalExecution;
}
