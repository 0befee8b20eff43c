import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Frees what nobody holds. @returns whether that can be done in this process. */
export async function collectGarbage(): Promise<boolean> {
  // What a weak reference was asked for in this turn stays until its end.
  await nextTurn();
  const collect = collector();
  collect?.();
  await nextTurn();
  collect?.();
  return collect !== undefined;
}

function collector(): (() => void) | undefined {
  try {
    setFlagsFromString('--expose-gc');
    const found: unknown = runInNewContext('gc');
    return typeof found === 'function' ? (): void => void Reflect.apply(found, undefined, []) : undefined;
  } catch {
    return undefined;
  }
}
