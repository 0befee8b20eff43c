import { KeyList, type KeySetting } from './key-list.js';
import { NetworkList } from './network-list.js';
import { Choice } from './setting.js';

const KEYLESS = ['auto', 'client', 'peer', 'refuse'] as const;

/** Who may do what here. */
export class SecurityConfig {
  @KeyList('Keys of clients, who may ask for answers')
  readonly clientKeys: readonly KeySetting[] = [];

  @KeyList('Keys of other instances and of the load balancer, whose legs and routing headers count')
  readonly peerKeys: readonly KeySetting[] = [];

  @KeyList('Keys of operators, who may do everything; without one there are no admin routes')
  readonly adminKeys: readonly KeySetting[] = [];

  @Choice('What callers without a key are; auto: refuse when there are keys of clients, else client', KEYLESS)
  readonly keyless: (typeof KEYLESS)[number] = 'auto';

  @NetworkList(
    'Networks that this instance may connect to, once names are resolved; empty allows all but link-local ones',
  )
  readonly outboundNetworks: readonly string[] = [];
}
