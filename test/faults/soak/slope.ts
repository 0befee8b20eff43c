/** A value at a time. */
export interface Point {
  readonly minute: number;
  readonly value: number;
}

/** The Theil-Sen slope, per minute: the median of the slopes between all pairs. A few wild values do not move it. */
export function slopeOf(points: readonly Point[]): number {
  const slopes: number[] = [];
  for (const [index, from] of points.entries()) {
    for (const to of points.slice(index + 1)) {
      if (to.minute > from.minute) slopes.push((to.value - from.value) / (to.minute - from.minute));
    }
  }
  slopes.sort((a, b) => a - b);
  const middle = slopes.length >> 1;
  return slopes.length % 2 === 1 ? (slopes[middle] ?? 0) : ((slopes[middle - 1] ?? 0) + (slopes[middle] ?? 0)) / 2;
}
