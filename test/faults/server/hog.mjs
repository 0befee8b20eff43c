// Imported by an instance: blocks its event loop as a message says, `{ hog: { ms, everyMs } }`, until `{ hog: null }`.
let timer;
let blocked = 0;

process.on('message', (message) => {
  if (message?.hog === undefined) return;
  clearInterval(timer);
  if (message.hog === null) {
    process.send({ blocked });
    return;
  }
  const { ms, everyMs } = message.hog;
  timer = setInterval(() => {
    blocked += 1;
    for (const end = performance.now() + ms; performance.now() < end;);
  }, everyMs);
});
