/** From CPU times to the figures of the table. */

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Splits the CPU time of short and long answers into what a request and what a chunk costs. Both are
 * `request + tokens x chunk`.
 */
export function costs(short, long) {
  const perChunk = (long.cpuUs / long.answers - short.cpuUs / short.answers) / (long.tokens - short.tokens);
  return { request: short.cpuUs / short.answers - short.tokens * perChunk, chunk: perChunk };
}

/** `median (least-most)` over the rounds. */
export function withSpread(values, digits) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `${median(values).toFixed(digits)} (${least.toFixed(digits)}-${most.toFixed(digits)})`;
}

/** Rows of strings as lines, each column as wide as its widest cell. */
export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => row.map((cell, column) => cell.padStart(widths[column])).join('  ')).join('\n');
}
