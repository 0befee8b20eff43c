/** Preloaded into the measured processes: answers the benchmark's `cpu` with the CPU time of the whole process. */
process.on('message', (message) => {
  if (message === 'cpu') process.send({ type: 'cpu', usage: process.cpuUsage() });
});
// The listener alone must not keep the process alive.
process.channel.unref();
