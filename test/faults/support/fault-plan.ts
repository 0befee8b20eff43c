/** What the proxy does to a connection. Bytes go *up* from who connects to the target, and *down* to who connected. */
export interface FaultPlan {
  /** Every piece arrives so much later, in both directions. */
  readonly delayMs?: number;
  /** Pieces of so many bytes, at least and at most, each sent on its own, in both directions. */
  readonly chop?: readonly [least: number, most: number];
  /** In each direction. */
  readonly rateBytesPerSecond?: number;
  /** RST to both sides when exactly so many bytes have gone down (or up). */
  readonly resetAfterDownBytes?: number;
  readonly resetAfterUpBytes?: number;
  /** After so many bytes nothing more goes down, until `resumeAll`. */
  readonly stallAfterDownBytes?: number;
  /** FIN to the target after so many bytes; what comes down still goes on. */
  readonly halfCloseAfterUpBytes?: number;
  /**
   * Closes the connection when nothing has followed an answer for so long, as servers and load balancers do. A request that
   * comes a moment later is lost: the target never sees it.
   */
  readonly closeIdleMs?: number;
  /**
   * RST as soon as a request comes on a connection that has had an answer, instead of passing it on: what `closeIdleMs` and
   * bad luck lead to, each time.
   */
  readonly resetReused?: boolean;
  /** Accepts, takes whatever comes, and neither connects nor answers. */
  readonly blackHole?: boolean;
  /** RST as soon as the connection is accepted. `goDown()` is what makes the system itself refuse. */
  readonly refuse?: boolean;
}

/** What the proxy has done: the proof that a fault happened. */
export interface FaultCounts {
  connections: number;
  refused: number;
  resets: number;
  stalls: number;
  halfCloses: number;
  /** Connections that were closed since they were idle. */
  idleCloses: number;
  /** Connections that bytes were written to which nobody had asked for. */
  injections: number;
  blackHoled: number;
  bytesUp: number;
  bytesDown: number;
  /** Pieces that were cut off from what came in one piece. */
  chops: number;
  /** Pieces that arrived later than they came. */
  delays: number;
}

export const noCounts = (): FaultCounts => ({
  ...{ connections: 0, refused: 0, resets: 0, stalls: 0, halfCloses: 0, blackHoled: 0 },
  ...{ idleCloses: 0, injections: 0, bytesUp: 0, bytesDown: 0, chops: 0, delays: 0 },
});
