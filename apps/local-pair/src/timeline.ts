import type { ExampleReport } from './example.js';

const BAR_COLUMNS = 32;

/** A phase of the request. `ms` is undefined when nobody has measured it. */
interface Phase {
  readonly name: string;
  readonly ms: number | undefined;
  readonly says: string;
}

/** The timeline of one request, a line for each phase; the bars share one scale. */
export function timeline(report: ExampleReport): string[] {
  const phases = phasesOf(report);
  const total = phases.reduce((sum, { ms = 0 }) => sum + ms, 0);
  let elapsed = 0;
  const bars = phases.map(({ name, ms, says }) => {
    const from = column(elapsed, total);
    elapsed += ms ?? 0;
    const bar = ms === undefined ? '' : '█'.repeat(Math.max(1, column(elapsed, total) - from));
    const time = ms === undefined ? '' : `${formatMs(ms)} ms`;
    return `  ${name.padEnd(8)} ${`${' '.repeat(from)}${bar}`.padEnd(BAR_COLUMNS)} ${time.padStart(9)}   ${says}`;
  });
  return [...bars, `  first text after ${formatMs(report.firstTokenMs)} ms, manager ${report.manager}`];
}

function phasesOf(report: ExampleReport): Phase[] {
  const { answerTokens, handoffBytes, handoffMs, prefillMs, promptTokens, restMs } = report;
  const prefill = { name: 'prefill', ms: prefillMs, says: `${promptTokens} prompt tokens` };
  const says = `${answerTokens} tokens${tokensPerSecond(answerTokens, restMs)}`;
  if (handoffBytes === 0) return [prefill, { name: 'decode', ms: restMs, says: `${says}, without a handoff` }];
  const kib = `${Math.round(handoffBytes / 1024).toLocaleString('en')} KiB`;
  return [
    prefill,
    { name: 'handoff', ms: handoffMs, says: `${kib} of KV cache` },
    { name: 'decode', ms: restMs, says },
  ];
}

/** The first token ends the wait for it and costs no decode time of its own. */
function tokensPerSecond(tokens: number, ms: number): string {
  return tokens > 1 && ms > 0 ? `, ${Math.round(((tokens - 1) * 1000) / ms).toLocaleString('en')} tokens/s` : '';
}

function column(ms: number, total: number): number {
  return total === 0 ? 0 : Math.min(BAR_COLUMNS - 1, Math.round((ms / total) * BAR_COLUMNS));
}

function formatMs(ms: number): string {
  return ms < 10 ? ms.toFixed(1) : Math.round(ms).toLocaleString('en');
}
