import type { App } from '../../http/app.js';

/** One figure of a metrics page. */
export interface Metric {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly value: number;
  /** Inside of the braces, without them. */
  readonly labels?: string;
}

/** Metrics as text for Prometheus. */
export const exposition = (metrics: readonly Metric[]): string =>
  metrics
    .map(({ name, type, help, value, labels }) => {
      const sample = labels === undefined || labels === '' ? name : `${name}{${labels}}`;
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${sample} ${value}\n`;
    })
    .join('');

/** Serves metrics under these paths. */
export function registerMetrics(app: App, paths: readonly string[], read: () => readonly Metric[]): void {
  for (const path of paths)
    app.route('GET', path, (exchange) =>
      exchange.send(200, exposition(read()), { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }),
    );
}
