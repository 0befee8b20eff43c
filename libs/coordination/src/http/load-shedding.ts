import { Injectable } from '@nestjs/common';

/**
 * Says when this instance is too busy to begin anything for clients. This one never does; replace it by a provider of your own
 * (`{ provide: LoadShedding, useClass: ... }`). Asked for each client's request, so it must be quick.
 */
@Injectable()
export class LoadShedding {
  /** Whether new requests of clients are refused with a 503 `overloaded` now. Legs of other instances are not. */
  get isShedding(): boolean {
    return false;
  }
}
