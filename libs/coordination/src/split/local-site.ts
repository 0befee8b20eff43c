import { parseEndpoint, type Endpoint } from '@baton/remotes';
import { Inject, Injectable } from '@nestjs/common';
import { NEVER, startWith } from 'rxjs';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import type { CoordinationOptions } from '../coordination.options.js';
import type { LocalExecution } from '../managers/disaggregated-request-manager.js';
import type { SiteSource } from './split-sites.js';

/** This instance as a place for legs. */
@Injectable()
export class LocalSite {
  /** False on a pure coordinator: its handlers run no legs. */
  readonly isAvailable: boolean;
  readonly #endpoint: Endpoint | undefined;

  constructor(@Inject(COORDINATION_OPTIONS) { local = {} }: CoordinationOptions) {
    this.isAvailable = local.isAvailable ?? true;
    this.#endpoint = local.endpoint === undefined ? undefined : parseEndpoint(local.endpoint);
  }

  /** The handler of one request as the only site. */
  of(local: LocalExecution): SiteSource {
    return { pick: () => NEVER.pipe(startWith({ endpoint: this.#endpoint, run: local })) };
  }
}
