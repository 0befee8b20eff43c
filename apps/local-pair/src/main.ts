import { API_PATHS } from '@baton/inference';
import { EXAMPLE_PROMPT, runExample, servedModel } from './example.js';
import { LocalPair, type PairAddresses } from './local-pair.js';
import { checkPort } from './port-check.js';
import { DECODE_PORT, HELP, PREFILL_PORT, readSettings, type PairSettings } from './settings.js';
import { listenForStop, type StopRequest } from './stop-request.js';
import { timeline } from './timeline.js';
import { UsageError } from './usage.error.js';

const print = (line: string): void => console.log(line);

/** Runs the pair until it is asked to stop. Resolves to the exit code. */
async function main(): Promise<number> {
  const settings = readSettings(process.env, process.argv.slice(2));
  if (settings.help) {
    print(HELP);
    return 0;
  }
  await checkPort(settings.prefillPort, PREFILL_PORT);
  await checkPort(settings.decodePort, DECODE_PORT);
  const pair = new LocalPair({ settings, env: process.env, print });
  const stop = listenForStop(process.env, () => {
    print('Ending both instances at once.');
    pair.kill();
  });
  try {
    await Promise.race([serve(pair, settings, stop.signal), pair.died]);
  } catch (error) {
    // A stop makes whatever was under way fail.
    if (!stop.signal.aborted) {
      await pair.end();
      throw error;
    }
  }
  await endPair(pair, stop);
  return 0;
}

/** Starts the pair, shows the example, and serves until `signal` is aborted. */
async function serve(pair: LocalPair, settings: PairSettings, signal: AbortSignal): Promise<void> {
  const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  print('Starting a prefill and a decode instance ...');
  const addresses = await pair.start(signal);
  print(`  prefill  ${addresses.prefillUrl}`);
  print(`  decode   ${addresses.decodeUrl}`);
  const model = await servedModel(addresses, signal);
  if (settings.example) await showExample(addresses, model, signal);
  print(whatNext(addresses, model));
  await stopped;
}

async function showExample(addresses: PairAddresses, model: string, signal: AbortSignal): Promise<void> {
  print(`\n> ${EXAMPLE_PROMPT}\n`);
  const report = await runExample(addresses, model, (text) => process.stdout.write(text), signal);
  print('\n');
  for (const line of timeline(report)) print(line);
}

function whatNext({ prefillUrl }: PairAddresses, model: string): string {
  const body = JSON.stringify({
    model,
    messages: [{ role: 'user', content: 'Tell me a story about an owl.' }],
    stream: true,
  });
  return `
Try it:
  curl -N ${prefillUrl}${API_PATHS.chat} -H 'content-type: application/json' \\
    -d '${body.replaceAll("'", String.raw`'\''`)}'

Docs: ${prefillUrl}/docs
Ctrl-C ends both instances.`;
}

async function endPair(pair: LocalPair, stop: StopRequest): Promise<void> {
  if (stop.isOrphaned) return pair.end();
  print('\nDraining and ending both instances ...');
  return pair.drain();
}

try {
  process.exitCode = await main();
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  console.error(error instanceof UsageError ? message : `${message}\nThe pair has ended.`);
  process.exitCode = 1;
}
process.exit();
