import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { InstanceProcess } from '../../support/instance-process.js';
import { slopeOf, type Point } from './slope.js';

const MEGABYTE = 1024 * 1024;
const PAGE_BYTES = 4_096;
/** A collection of garbage takes some 50 ms. */
const COLLECTED_MS = 300;

/** Settings with which an instance collects its garbage when it is asked to: see `collect.mjs`. */
export const COLLECTING = { NODE_OPTIONS: `--import ${new URL('collect.mjs', import.meta.url).href}` };

export const WATCHED = ['rss', 'heap', 'fds', 'timers', 'in flight', 'handoffs', 'waiting', 'temp files'] as const;
export type Watched = (typeof WATCHED)[number];

/** What must not grow. */
export interface Slope {
  readonly what: Watched;
  readonly unit: string;
  /** Per minute. */
  readonly most: number;
  /** What the lows of some minutes go up and down by: requests under way, pages that an allocator keeps. */
  readonly noise: number;
}

/** Of what is held per request, the slopes say nothing; its end does. */
export const SLOPES: readonly Slope[] = [
  { what: 'rss', unit: 'MB', most: 0.1, noise: 5 },
  { what: 'heap', unit: 'MB', most: 0.1, noise: 2 },
  { what: 'fds', unit: '', most: 0.05, noise: 5 },
  { what: 'timers', unit: '', most: 0.05, noise: 5 },
];

/** One look at a process. */
export interface Sample extends Readonly<Record<Watched, number>> {
  readonly minute: number;
}

/** What an instance that was started with {@link COLLECTING} has and holds, looked at again and again. */
export class Watch {
  readonly samples: Sample[] = [];

  constructor(
    readonly name: string,
    readonly instance: InstanceProcess,
    readonly hasEngine: boolean,
  ) {}

  async look(minute: number): Promise<Sample> {
    const { pid } = this.instance;
    this.instance.child.kill('SIGUSR2');
    await sleep(COLLECTED_MS);
    const [metric, statm, fds] = await Promise.all([
      this.instance.metrics(),
      readFile(`/proc/${pid}/statm`, 'utf8'),
      readdir(`/proc/${pid}/fd`),
    ]);
    const sample: Sample = {
      minute,
      rss: (Number(statm.split(' ')[1]) * PAGE_BYTES) / MEGABYTE,
      heap: metric('baton_nodejs_heap_size_used_bytes') / MEGABYTE,
      fds: fds.length,
      timers: metric('baton_nodejs_active_resources', { type: 'Timeout' }),
      'in flight': metric('baton_inflight_requests'),
      handoffs: metric('baton_handoffs_open'),
      waiting: this.hasEngine ? metric('baton_engine_waiting_requests') : 0,
      'temp files': this.hasEngine ? metric('baton_engine_temp_files') : 0,
    };
    this.samples.push(sample);
    return sample;
  }

  /** Over the last three quarters: what comes before is warming up. */
  slope(what: Watched): number {
    return slopeOf(this.#after(1 / 4).map((sample): Point => ({ minute: sample.minute, value: sample[what] })));
  }

  /**
   * How much more there is in the last quarter than in the second one. Of the lows: allocators keep what they have freed for a
   * while, and give it back.
   */
  growth(what: Watched): number {
    const late = this.#after(1 / 4);
    const quarter = Math.floor(late.length / 3);
    const low = (samples: readonly Sample[]): number =>
      samples.map((sample) => sample[what]).sort((a, b) => a - b)[Math.floor(samples.length / 10)] ?? 0;
    return low(late.slice(-quarter)) - low(late.slice(0, quarter));
  }

  #after(share: number): readonly Sample[] {
    const last = this.samples.at(-1)?.minute ?? 0;
    return this.samples.filter(({ minute }) => minute >= last * share);
  }
}
