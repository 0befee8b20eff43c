/**
 * TEST DOUBLE, not an engine: a process that speaks the HTTP of LLM engine servers and their KV handoffs, and
 * computes nothing. Its answers are a function of the prompt, so that whoever asks can prove them; its KV ledger
 * says who owes which blocks; every misbehaviour known from the field can be switched on while it runs.
 */
import { parseOptions, usageText } from './options.js';
import { startSimulator } from './simulator.js';

async function start(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  const simulator = await startSimulator(options);
  const ready = {
    type: 'ready',
    dialect: options.dialect,
    kv: options.kv,
    model: options.engine.model,
    url: simulator.url,
    port: simulator.port,
    ...simulator.addresses,
    pid: process.pid,
  };
  // Forked: the parent hears it, and its end is this process's.
  if (process.send !== undefined) process.send(ready);
  else process.stdout.write(`${JSON.stringify(ready)}\n`);
  process.on('disconnect', () => process.exit(0));
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      void simulator.close().then(() => process.exit(0));
    });
}

if (process.argv.includes('--help')) process.stdout.write(usageText());
else
  await start().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(2);
  });
