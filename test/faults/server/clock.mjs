// Imported by an instance: shifts its wall clock as a message says, `{ shiftMs }`, or has so many timers due at once,
// `{ timers }`; says what its clock shows then, or when the last timer fired.
const RealDate = Date;
let shiftMs = 0;

class ShiftedDate extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() + shiftMs);
    else super(...args);
  }

  static now() {
    return RealDate.now() + shiftMs;
  }
}
globalThis.Date = ShiftedDate;

process.on('message', (message) => {
  if (typeof message?.shiftMs === 'number') {
    shiftMs = message.shiftMs;
    process.send({ clockMs: Date.now() });
  }
  if (typeof message?.timers === 'number') {
    let fired = 0;
    for (let i = 0; i < message.timers; i += 1) {
      setTimeout(() => {
        fired += 1;
        if (fired === message.timers) process.send({ fired });
      }, 50);
    }
  }
});
