/** `npm run bench`: what a request and a streamed chunk cost the instance, against a bare proxy. See README.md. */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { costs, median, table, withSpread } from './figures.mjs';
import { drive } from './load.mjs';
import { startBareProxy, startDouble, startInstance, stopAll } from './processes.mjs';

const SHORT_TOKENS = 2;

/** `stepMs`: the double gives every stream one token a step. `short`, `long`: answers measured a round. */
const LEVELS = [
  { streams: 1, stepMs: 2, tokens: 200, short: 300, long: 6 },
  { streams: 32, stepMs: 4, tokens: 200, short: 1_280, long: 64 },
  { streams: 256, stepMs: 25, tokens: 100, short: 1_024, long: 256 },
];

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    'bare-only': { type: 'boolean', default: false },
    streams: { type: 'string' },
    profile: { type: 'string' },
  },
});
const chosenLevels = LEVELS.filter(
  ({ streams }) => options.streams === undefined || streams === Number(options.streams),
);
const rounds = Number(options.rounds ?? (options.quick ? 1 : 5));
const [share, tokenShare, warmUpAnswers] = options.quick ? [1 / 8, 1 / 2, 1_000] : [1, 1, 6_000];

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
try {
  await main();
} catch (error) {
  console.error(`The benchmark failed: ${error.message}`);
  process.exitCode = 1;
} finally {
  await stopAll();
}

async function main() {
  const double = await startDouble();
  const profile = options.profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', options.profile];
  const proxies = [await startBareProxy(double.url, profile)];
  if (!options['bare-only']) proxies.push(await startInstance(double.url, profile));

  console.log(`Node ${process.version}, ${availableParallelism()} cores, ${rounds} round(s); warming up ...`);
  const levels = await Promise.all(chosenLevels.map((level) => withExpectedBytes(double, level)));
  // The compiler is done with a proxy's code after thousands of requests, not hundreds.
  await double.behave({ intervalMs: 1 });
  for (const { url } of proxies) {
    await drive(url, { streams: 32, answers: warmUpAnswers, tokens: SHORT_TOKENS });
    await drive(url, { streams: 32, answers: 64, tokens: 100 });
  }

  const measured = [];
  for (let round = 0; round < rounds; round += 1) {
    for (const level of levels) {
      // Who is first changes from round to round.
      for (const proxy of round % 2 === 0 ? proxies : proxies.toReversed()) {
        measured.push({ round, proxy: proxy.name, ...level, ...(await measureLevel(double, proxy, level)) });
      }
    }
    console.log(`round ${round + 1} of ${rounds} done after ${Math.round(performance.now() / 1000)} s`);
  }
  report(measured, proxies);
  const { handoffs, active } = await double.behave({});
  console.log(
    `Double: ${handoffs.taken} handoffs taken, ${handoffs.open} open, ${handoffs.unknown} unknown, ${active} active.`,
  );
}

/** How long an answer is when the double sends it itself; all answers through a proxy must be the same. */
async function withExpectedBytes(double, { tokens: longTokens, ...level }) {
  const tokens = longTokens * tokenShare;
  const bytesOf = async (count) => (await drive(double.url, { streams: 1, answers: 1, tokens: count })).bytes;
  return { ...level, tokens, expected: { short: await bytesOf(SHORT_TOKENS), long: await bytesOf(tokens) } };
}

async function measureLevel(double, proxy, level) {
  await double.behave({ intervalMs: level.stepMs });
  const { streams, expected } = level;
  const answersOf = (answers) => Math.max(Math.ceil((answers * share) / streams), 1) * streams;
  const short = { streams, tokens: SHORT_TOKENS, answers: answersOf(level.short), expectedBytes: expected.short };
  const long = { streams, tokens: level.tokens, answers: answersOf(level.long), expectedBytes: expected.long };
  const shortCost = await measure(proxy, short);
  const longCost = await measure(proxy, long);
  return {
    ...costs(shortCost, longCost),
    answer: longCost.cpuUs / long.answers,
    joined: longCost.joined / (long.answers * long.tokens),
    busy: longCost.cpuUs / (longCost.ms * 1000),
  };
}

async function measure(proxy, load) {
  const before = await proxy.cpuUs();
  const result = await drive(proxy.url, load);
  return { ...load, ...result, cpuUs: (await proxy.cpuUs()) - before };
}

function report(measured, proxies) {
  const hasBoth = proxies.length > 1;
  const ratios = [];
  const rows = [
    ['streams', 'unit', ...proxies.map(({ name }) => `${name} us`), ...(hasBoth ? ['ratio'] : []), 'joined', 'busy'],
  ];
  for (const { streams } of chosenLevels) {
    const of = (proxy) => measured.filter((entry) => entry.streams === streams && entry.proxy === proxy);
    for (const unit of ['request', 'chunk', 'answer']) {
      const figures = proxies.map(({ name }) => of(name).sort((a, b) => a.round - b.round));
      const cells = figures.map((entries) =>
        withSpread(
          entries.map((entry) => entry[unit]),
          1,
        ),
      );
      if (hasBoth) {
        const pairs = figures[1].map((entry, index) => entry[unit] / figures[0][index][unit]);
        if (unit !== 'answer') ratios.push({ name: `${streams} streams, per ${unit}`, ratio: median(pairs) });
        cells.push(withSpread(pairs, 2));
      }
      const each = (field) =>
        figures.map((entries) => `${(100 * median(entries.map((entry) => entry[field]))).toFixed(0)}%`).join(' ');
      rows.push([String(streams), unit, ...cells, each('joined'), each('busy')]);
    }
  }
  console.log('\nCPU microseconds (user + system) of the proxying process: median (least-most) of the rounds');
  console.log(table(rows));
  if (!hasBoth) return;
  const worst = ratios.reduce((a, b) => (b.ratio > a.ratio ? b : a));
  console.log(
    `\nRatio instance / bare: median ${median(ratios.map(({ ratio }) => ratio)).toFixed(2)}, worst ${worst.ratio.toFixed(2)} (${worst.name}); the aim is at most 1.50.`,
  );
}
