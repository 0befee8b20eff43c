import { parseEndpoint, RemoteUnavailableError, type Endpoint } from '@baton/remotes';
import { Inject, Injectable } from '@nestjs/common';
import { NEVER, startWith, throwError } from 'rxjs';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import type { CoordinationOptions } from '../coordination.options.js';
import type { LocalExecution } from '../managers/disaggregated-request-manager.js';
import type { SiteSource } from './split-sites.js';

/** This instance as a place for legs. */
@Injectable()
export class LocalSite {
  /** False on a pure coordinator: its handlers run no legs. */
  readonly isAvailable: boolean;
  /** The engine server behind the handlers; undefined when it is in this process. */
  readonly endpoint: Endpoint | undefined;

  constructor(@Inject(COORDINATION_OPTIONS) { local = {} }: CoordinationOptions) {
    this.isAvailable = local.isAvailable ?? true;
    this.endpoint = local.endpoint === undefined ? undefined : parseEndpoint(local.endpoint);
  }

  /** The handler of one request as the only site. */
  of(local: LocalExecution): SiteSource {
    const { endpoint } = this;
    return {
      name: 'local',
      pick: (_request, { except } = {}) =>
        endpoint !== undefined && except?.has(endpoint) === true
          ? throwError(() => new RemoteUnavailableError('none', 'no_endpoint'))
          : NEVER.pipe(startWith({ endpoint, run: local })),
    };
  }
}
