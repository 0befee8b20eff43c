import { describe, expect, it } from '@jest/globals';
import { facadeOf } from './facade.js';

class Service {
  readonly #secret = 7;
  hooks = 0;
  get secret(): number {
    return this.#secret;
  }
  ask(more: number): number {
    return this.#secret + more;
  }
  close(): void {}
  onModuleInit(): void {
    this.hooks += 1;
  }
  onApplicationShutdown(): void {
    this.hooks += 1;
  }
}

describe('facadeOf', () => {
  const service = new Service();
  const facade = facadeOf(service, ['close']);

  it('works as the service does, private members included', () => {
    expect([facade.secret, facade.ask(1), facade instanceof Service]).toEqual([7, 8, true]);
    const { ask } = facade;
    expect(ask(2)).toBe(9);
    expect(facade.ask).toBe(ask);
  });

  it('has no hooks, and nothing that is withheld', () => {
    expect([facade.onModuleInit, facade.onApplicationShutdown, facade.close]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect('onModuleInit' in facade).toBe(false);
    expect('ask' in facade).toBe(true);
  });

  it('cannot be changed', () => {
    expect(() => (facade.hooks = 5)).toThrow(TypeError);
    expect(() => Object.defineProperty(facade, 'ask', { value: () => 0 })).toThrow(TypeError);
    expect(() => Reflect.deleteProperty(facade, 'hooks')).not.toThrow();
    expect(service.hooks).toBe(0);
  });
});
