// Each alternative begins with another character: a line is read once, however it is malformed.
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})?[ \t]+([^\s]+)/;

/**
 * The values of one metric in Prometheus' text format, or OpenMetrics', whatever their labels. What is no
 * finite number, or no sample at all, is left out.
 */
export function sampleValues(text: string, name: string): number[] {
  const values: number[] = [];
  for (const line of text.split('\n')) {
    // Most lines are of other metrics.
    if (!line.startsWith(name)) continue;
    const [, found, value] = SAMPLE.exec(line) ?? [];
    if (found === name && Number.isFinite(Number(value))) values.push(Number(value));
  }
  return values;
}
