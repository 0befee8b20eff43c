import { digestOfKey, KeyRing, type Caller, type KeyHolder } from '@baton/inference';
import type { SideChannelAccess } from '@baton/engines';
import { partsOfKey, type KeySetting } from '../config/key-list.js';
import type { SecurityConfig } from '../config/security-config.js';
import { OWN_KEY } from './own-key.js';

/** All keys of an instance. */
export function keyRing({ clientKeys, peerKeys, adminKeys }: SecurityConfig): KeyRing {
  return new KeyRing([...holders(clientKeys, 'client'), ...holders(peerKeys, 'peer'), ...holders(adminKeys, 'admin')]);
}

/** Other instances alone may read and free KV, and this one may free its own. */
export function sideChannelAccess({ peerKeys, keyless }: SecurityConfig): SideChannelAccess {
  const own = new KeyRing([{ caller: { trust: 'peer', label: 'itself' }, sha256: digestOfKey(OWN_KEY) }]);
  return { peers: new KeyRing(holders(peerKeys, 'peer')), own, allowsKeyless: keyless === 'peer' };
}

function holders(keys: readonly KeySetting[], trust: Caller['trust']): KeyHolder[] {
  return keys.map((item) => {
    const { label, key, sha256 } = partsOfKey(item) ?? {};
    return {
      caller: { trust, label: String(label) },
      sha256: typeof key === 'string' ? digestOfKey(key) : String(sha256),
    };
  });
}
