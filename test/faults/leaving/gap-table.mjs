/** Writes what the fault suite has measured of stranded KV into docs/cancellation.md, between two marks. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import prettier from 'prettier';

const DOCUMENT = fileURLToPath(new URL('../../../docs/cancellation.md', import.meta.url));
const [BEGIN, END] = ['<!-- generated: gap -->', '<!-- /generated: gap -->'];
const CONNECTORS = ['nixl', 'trtllm', 'sglang', 'mooncake', 'embedded'];
const PHASES = ['before_prefill', 'prefilling', 'gap', 'decode_sent', 'transferring', 'decoding', 'done'];

/**
 * @param {string} book the file that the cases have appended to, a JSON object a line.
 * @returns {Promise<boolean>} false when the book or the document lacks what is needed; nothing is written then.
 */
export async function writeGapTable(book) {
  if (!existsSync(book) || !existsSync(DOCUMENT)) return false;
  const figures = readFileSync(book, 'utf8').trim().split('\n').map(parsed);
  const text = readFileSync(DOCUMENT, 'utf8');
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from === -1 || to < from || !CONNECTORS.every((name) => figures.some(({ connector }) => connector === name))) {
    return false;
  }
  const changed = `${text.slice(0, from + BEGIN.length)}\n\n${tableOf(figures)}\n\n${text.slice(to)}`;
  const options = await prettier.resolveConfig(DOCUMENT);
  writeFileSync(DOCUMENT, await prettier.format(changed, { ...options, filepath: DOCUMENT }));
  return true;
}

function tableOf(figures) {
  const rows = CONNECTORS.flatMap((connector) => {
    const own = figures.filter((each) => each.connector === connector);
    const lease = own.find(({ phase }) => phase === 'nobody');
    // Some timeouts are too long to be waited for.
    const nobody =
      lease === undefined ? `${(own[0]?.leaseMs ?? NaN) / 1_000} (not waited for)` : seconds(lease.worstMs);
    return PHASES.flatMap((phase) => {
      const found = own.findLast((each) => each.phase === phase);
      if (found === undefined) return [];
      const { runs, medianMs, worstMs, freedBy } = found;
      return [[`\`${connector}\``, phase, runs, seconds(medianMs), seconds(worstMs), nobody, howOf(freedBy)]];
    });
  });
  const head = ['connector', 'client left', 'runs', 'median s', 'worst s', 'if nobody frees it, s', 'freed by'];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

const howOf = (freedBy) =>
  Object.entries(freedBy)
    .sort(([, a], [, b]) => b - a)
    .map(([how, count]) => `${how.replaceAll('_', ' ')} ${count}`)
    .join(', ');

const seconds = (ms) => (ms / 1_000).toFixed(ms < 10_000 ? 3 : 1);

function parsed(line) {
  return JSON.parse(line);
}
