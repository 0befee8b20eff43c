import { PluginHost, type PluginEvent, type PluginFault, type PluginState } from '@baton/coordination';
import type { EngineMetric } from '@baton/engines';
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Subscription, type Observable } from 'rxjs';
import { LOAD_RESULTS, PLUGIN_STATUSES } from './known-labels.js';
import { LabelCounts, single } from './label-counts.js';

/** What is read of the plugin host. */
export interface PluginSource {
  readonly events: Observable<Pick<PluginEvent, 'action'>>;
  readonly faults: Observable<Pick<PluginFault, 'plugin'>>;
  readonly imports: number;
  list(): readonly Pick<PluginState, 'name' | 'status'>[];
}

/** Plugins: how those are that there are at the moment of a scrape, and what happened to them. */
@Injectable()
export class PluginMetrics implements OnApplicationShutdown {
  readonly #subscription = new Subscription();
  readonly #loads = new LabelCounts<string>(
    'plugin_loads_total',
    'Plugins that were loaded or replaced, or refused.',
    'result',
    LOAD_RESULTS,
  );
  /** Names come from directories that operators write to; there are never more series than of any metric. */
  readonly #failures = new LabelCounts('plugin_failures_total', 'Faults of plugins.', 'plugin');

  constructor(@Inject(PluginHost) private readonly plugins: PluginSource) {
    // What has happened before is told as well.
    this.#subscription.add(
      plugins.events.subscribe(({ action }) => {
        if (LOAD_RESULTS.some((result) => result === action)) this.#loads.inc(action);
      }),
    );
    this.#subscription.add(plugins.faults.subscribe(({ plugin }) => this.#failures.inc(plugin)));
  }

  onApplicationShutdown(): void {
    this.#subscription.unsubscribe();
  }

  snapshot(): EngineMetric[] {
    const plugins = this.plugins.list();
    this.#failures.know(plugins.map(({ name }) => name));
    const samples = PLUGIN_STATUSES.map((status) => ({
      labels: { status },
      value: plugins.filter((plugin) => plugin.status === status).length,
    }));
    return [
      { name: 'plugins', help: 'Plugins that are known, by how they are.', type: 'gauge', samples },
      single('plugin_imports', 'Contents of plugins that this process has imported.', 'gauge', this.plugins.imports),
      this.#loads.metric,
      this.#failures.metric,
    ];
  }
}
