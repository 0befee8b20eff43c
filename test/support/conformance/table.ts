/** What one deployment has shown. */
export interface Row {
  readonly connector: string;
  readonly manager: string;
  cells: number;
  requests: number;
  failures: number;
}

/** The matrix as a table, with its sums. */
export function tableOf(rows: readonly Row[], seconds: number): string {
  const sum = (figure: 'cells' | 'requests' | 'failures'): number =>
    rows.reduce((total, row) => total + row[figure], 0);
  const lines = [
    ['connector', 'manager', 'cells', 'requests', 'failed cells'],
    ...rows.map((row) => [row.connector, row.manager, row.cells, row.requests, row.failures].map(String)),
    ['all', `${rows.length} deployments`, ...[sum('cells'), sum('requests'), sum('failures')].map(String)],
  ];
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  const text = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `\n${text.join('\n')}\nin ${seconds.toFixed(1)} s\n`;
}
