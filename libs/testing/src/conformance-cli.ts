import { runConformance } from './cli/run-conformance.js';

const exitCode = await runConformance(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
});
// What a plugin has left open must not keep the command from its end, nor its output from being written.
process.exitCode = exitCode;
setTimeout(() => process.exit(), 1_000).unref();
