import { LoadShedding } from '@baton/coordination';
import { Inject, Injectable } from '@nestjs/common';
import { INSTANCE_CONFIG } from '../config/config.token.js';
import { InstanceConfig } from '../config/instance-config.js';
import { EventLoopWatch } from './event-loop-watch.js';

/** One late half second is an accident (a long body, garbage collection); three in a row are load. */
const SAMPLES = 3;

/** Refuses new requests while the event loop stays late: each more of them would make all the others later. */
@Injectable()
export class EventLoopShedding extends LoadShedding {
  constructor(
    private readonly eventLoop: EventLoopWatch,
    @Inject(INSTANCE_CONFIG) private readonly config: InstanceConfig,
  ) {
    super();
  }

  override get isShedding(): boolean {
    return this.eventLoop.isLaterThan(this.config.server.maxLoopDelayMs, SAMPLES);
  }
}
