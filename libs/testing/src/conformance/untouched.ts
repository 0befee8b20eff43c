import type { InferenceRequest } from '@baton/inference';

/** The objects of a request that are the client's own, each with what it held. */
export class Untouched {
  readonly #before = new Map<object, ReadonlyMap<string, unknown>>();
  readonly #names = new Map<object, string>();

  constructor(private readonly request: InferenceRequest) {
    this.#note(request, 'request', false);
    for (const field of ['body', 'headers', 'clientHeaders', 'caller'] as const) {
      this.#note(request[field], field, true);
    }
  }

  /** Has an edit throw in the moment in which it is made. */
  freeze(): this {
    for (const held of this.#before.keys()) Object.freeze(held);
    return this;
  }

  /** What is not as it was, by identity and not only by value; undefined when nothing is. */
  get edit(): string | undefined {
    for (const [held, before] of this.#before) {
      const name = this.#names.get(held) ?? '';
      const now = Object.entries(held);
      const added = now.find(([key]) => !before.has(key));
      if (added !== undefined) return `${name} has got a field ${added[0]}`;
      for (const [key, value] of before) {
        if (!Object.hasOwn(held, key)) return `${name} has lost its field ${key}`;
        if (!Object.is(value, Reflect.get(held, key))) return `${name}.${key} is another value than before`;
      }
    }
    return undefined;
  }

  #note(value: unknown, name: string, isDeep: boolean): void {
    if (typeof value !== 'object' || value === null || this.#before.has(value)) return;
    this.#before.set(value, new Map(Object.entries(value)));
    this.#names.set(value, name);
    if (isDeep) for (const [key, inner] of Object.entries(value)) this.#note(inner, `${name}.${key}`, true);
  }
}
