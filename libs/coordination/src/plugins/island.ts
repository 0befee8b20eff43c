import { Module, type DynamicModule, type INestApplicationContext, type Type } from '@nestjs/common';
import { DiscoveryModule, DiscoveryService, NestFactory, Reflector } from '@nestjs/core';
import { runLastHooks } from './last-hooks.js';
import { PluginError } from './plugin-error.js';
import { discoverProvisions, type Provisions } from './provisions.js';
import { saidBy, spoken, within } from './within.js';

/** The root of an island. */
@Module({})
class IslandModule {}

/** The application context of one plugin, apart from the host's: its hooks run here, and what it breaks stays here. */
export class Island {
  private constructor(
    private readonly plugin: string,
    private readonly context: INestApplicationContext,
    private readonly timeoutMs: number,
  ) {}

  /**
   * Makes the plugin's providers and runs its `onModuleInit` and `onApplicationBootstrap`. Of one that fails, whenever it does,
   * what was made is closed; so is one that is ready too late.
   *
   * @param onStray told of what goes wrong later, when nobody waits for it any more.
   * @throws PluginError 422 `plugin_init_failed`, `plugin_timeout`
   */
  static async make(
    plugin: string,
    module: Type | DynamicModule,
    bridge: DynamicModule,
    timeoutMs: number,
    onStray: (error: unknown) => void,
  ): Promise<Island> {
    const root = { module: IslandModule, imports: [DiscoveryModule, bridge, module] };
    const made: unknown[] = [];
    const instanceDecorator = (instance: unknown): unknown => {
      made.push(instance);
      return instance;
    };
    const context = NestFactory.createApplicationContext(root, {
      // Without a logger: to name one would change the log of the whole process.
      abortOnError: false,
      instrument: { instanceDecorator },
    });
    const cleaned = context.then(
      () => undefined,
      () => within(runLastHooks(made), timeoutMs, () => notClosed(plugin, timeoutMs)).catch(onStray),
    );
    const late = (): PluginError =>
      new PluginError({
        plugin,
        code: 'plugin_timeout',
        reason: `its module was not ready within ${spoken(timeoutMs)}`,
        fix: 'Wait for nothing without a bound in onModuleInit and onApplicationBootstrap.',
      });
    try {
      const ready = await within(context, timeoutMs, late, (arrived) => void arrived.close().catch(onStray));
      return new Island(plugin, ready, timeoutMs);
    } catch (error) {
      // `late`: nobody knows when it will have failed.
      if (error instanceof PluginError) throw error;
      await cleaned;
      throw initFailed(plugin, error);
    }
  }

  /** What the plugin brings. @throws PluginError 422 `plugin_invalid_provider` */
  get provisions(): Provisions {
    const { context, plugin } = this;
    return discoverProvisions(plugin, context.get(DiscoveryService), context.get(Reflector));
  }

  /** Runs its last hooks. @throws Error of a hook, or when they take too long. */
  async close(): Promise<void> {
    const { plugin, timeoutMs } = this;
    await within(this.context.close(), timeoutMs, () => notClosed(plugin, timeoutMs));
  }
}

const notClosed = (plugin: string, timeoutMs: number): Error =>
  new Error(`The plugin ${plugin} was not closed within ${spoken(timeoutMs)}.`);

function initFailed(plugin: string, error: unknown): PluginError {
  return new PluginError({
    plugin,
    code: 'plugin_init_failed',
    reason: `its module cannot be made (${saidBy(error)})`,
    fix: 'Mend its constructors and hooks, and see that it injects only what its host offers.',
    cause: error,
  });
}
