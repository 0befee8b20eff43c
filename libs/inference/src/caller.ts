/** Who sent a request, as far as its key (or the lack of one) tells. */
export interface Caller {
  /**
   * `client`: its request is computed, and nothing in it says where or from which KV. `peer`: another instance, or the
   * load balancer: its legs, handoffs and routing headers count. `admin`: may also ask for what operators may.
   */
  readonly trust: 'client' | 'peer' | 'admin';
  /** The name of its key, never the key: for logs, and for fairness between callers. */
  readonly label: string;
}

/** Somebody without a key. */
export const ANONYMOUS: Caller = { trust: 'client', label: 'anonymous' };

/** Whether what a caller says of routes and handoffs counts. */
export function isTrusted({ trust }: Caller): boolean {
  return trust !== 'client';
}
