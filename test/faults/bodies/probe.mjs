/** Told to, an instance says how long its event loop was busy at most, and whether its prototypes are what they were. */
const EVERY_MS = 2;
const NAMES = Object.getOwnPropertyNames(Object.prototype).length;
const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};
let [last, lastCpu, worst] = [performance.now(), cpuMs(), 0];

/** What others compute on this machine must not count: no longer than this process has computed meanwhile. */
function look() {
  const [now, cpu] = [performance.now(), cpuMs()];
  worst = Math.max(worst, Math.min(now - last - EVERY_MS, cpu - lastCpu));
  [last, lastCpu] = [now, cpu];
}

setInterval(look, EVERY_MS).unref();
process.on('message', (message) => {
  if (message !== 'probe') return;
  look();
  const isPolluted = Object.getOwnPropertyNames(Object.prototype).length !== NAMES || 'polluted' in {};
  process.send({ type: 'probe', blockedMs: worst, isPolluted, rssBytes: process.memoryUsage.rss() });
  worst = 0;
});
