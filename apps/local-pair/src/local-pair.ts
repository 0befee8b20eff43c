import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { withDeadline } from './deadline.js';
import { decodeEnvironment, DRAIN_TIMEOUT_MS, HOST, prefillEnvironment } from './instance-environment.js';
import { describeEnd, InstanceProcess, type InstanceAddress } from './instance-process.js';
import { waitUntilReady } from './readiness.js';
import type { PairSettings } from './settings.js';

/** After its own drain bound an instance still ends the streams that are left; in ms. */
const END_GRACE_MS = 5_000;
/** How long an instance may take to load its model and get ready, in ms. */
const START_TIMEOUT_MS = 30_000;
/** How long the other instance may take when one has died, in ms: nothing can be finished without it. */
const AFTER_DEATH_TIMEOUT_MS = 3_000;

const INSTANCE = fileURLToPath(new URL('../../instance/dist/main.js', import.meta.url));

/** Where the two instances answer. */
export interface PairAddresses {
  readonly prefillUrl: string;
  readonly decodeUrl: string;
  /** What both take for the key of another instance. */
  readonly apiKey: string;
}

export interface LocalPairOptions {
  readonly settings: PairSettings;
  readonly env: NodeJS.ProcessEnv;
  /** Takes a line for the terminal. */
  readonly print: (line: string) => void;
  /** The script that runs one instance. */
  readonly script?: string;
}

/** A prefill and a decode instance, started, watched and stopped together. */
export class LocalPair {
  /** Rejects with a sentence when an instance ends that nobody has stopped. */
  readonly died: Promise<never>;
  readonly #options: LocalPairOptions;
  /** The environment hands it on: what is on a command line, every user of the machine can read. */
  readonly #key = randomBytes(32).toString('hex');
  #reportDeath: (error: Error) => void = () => undefined;
  #prefill: InstanceProcess | undefined;
  #decode: InstanceProcess | undefined;
  #isStopping = false;

  constructor(options: LocalPairOptions) {
    this.#options = options;
    this.died = new Promise<never>((_, reject) => {
      this.#reportDeath = reject;
    });
    this.died.catch(() => undefined);
  }

  /**
   * Starts both and waits until both are ready. Each needs the other's address: prefill the HTTP address of
   * decode, decode the side channel of prefill, which has a port of its own choice.
   *
   * @param signal gives up waiting.
   */
  async start(signal: AbortSignal): Promise<PairAddresses> {
    const { prefillPort, decodePort } = this.#options.settings;
    return withDeadline(signal, START_TIMEOUT_MS, (within) =>
      decodePort === 0
        ? this.#startDecodeFirst(prefillPort, within)
        : this.#startPrefillFirst(prefillPort, decodePort, within),
    );
  }

  /** Decode's address is known beforehand, so it starts second and may read from exactly prefill's side channel. */
  async #startPrefillFirst(prefillPort: number, decodePort: number, signal: AbortSignal): Promise<PairAddresses> {
    const { env } = this.#options;
    this.#prefill = this.#run(
      'prefill',
      prefillEnvironment(env, prefillPort, `http://${HOST}:${decodePort}`, this.#key),
    );
    const prefill = await addressOf(this.#prefill, signal);
    if (prefill.kvPort === undefined) throw new Error('The prefill instance has no KV side channel.');
    this.#decode = this.#run('decode', decodeEnvironment(env, decodePort, `${HOST}:${prefill.kvPort}`, this.#key));
    return this.#ready(prefill, await addressOf(this.#decode, signal), signal);
  }

  /** Decode takes any port, so prefill has to wait for it; decode may then read from any port of this machine. */
  async #startDecodeFirst(prefillPort: number, signal: AbortSignal): Promise<PairAddresses> {
    const { env } = this.#options;
    this.#decode = this.#run('decode', decodeEnvironment(env, 0, `${HOST}:*`, this.#key));
    const decode = await addressOf(this.#decode, signal);
    this.#prefill = this.#run('prefill', prefillEnvironment(env, prefillPort, decode.url, this.#key));
    return this.#ready(await addressOf(this.#prefill, signal), decode, signal);
  }

  async #ready(prefill: InstanceAddress, decode: InstanceAddress, signal: AbortSignal): Promise<PairAddresses> {
    await Promise.all([waitUntilReady('prefill', prefill.url, signal), waitUntilReady('decode', decode.url, signal)]);
    return { prefillUrl: prefill.url, decodeUrl: decode.url, apiKey: this.#key };
  }

  /**
   * Drains and ends both: prefill first, since its open streams need decode until they are whole.
   */
  async drain(): Promise<void> {
    this.#isStopping = true;
    const deadline = performance.now() + DRAIN_TIMEOUT_MS + END_GRACE_MS;
    await this.#prefill?.stop(deadline - performance.now());
    await this.#decode?.stop(Math.max(END_GRACE_MS, deadline - performance.now()));
  }

  /** Ends what is left of both, soon: there is nothing to wait for any more. */
  async end(): Promise<void> {
    this.#isStopping = true;
    await Promise.all([this.#prefill?.stop(AFTER_DEATH_TIMEOUT_MS), this.#decode?.stop(AFTER_DEATH_TIMEOUT_MS)]);
  }

  /** Ends both at once. */
  kill(): void {
    this.#isStopping = true;
    this.#prefill?.kill();
    this.#decode?.kill();
  }

  #run(name: string, env: NodeJS.ProcessEnv): InstanceProcess {
    if (this.#isStopping) throw new Error(`The ${name} instance is not started: the pair is being ended.`);
    const { print, script = INSTANCE, settings } = this.#options;
    const instance = new InstanceProcess({ name, script, env, print, verbose: settings.verbose });
    void instance.ended.then((end) => {
      if (!this.#isStopping) this.#reportDeath(new Error(describeEnd(name, end)));
    });
    return instance;
  }
}

async function addressOf(instance: InstanceProcess, signal: AbortSignal): Promise<InstanceAddress> {
  const gaveUp = new Promise<never>((_, reject) => {
    const giveUp = (): void => reject(new Error(`The ${instance.name} instance did not start in time.`));
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
  });
  return Promise.race([instance.address, gaveUp]);
}
