import type { DialectName } from '@baton/remotes';
import { ValidateNested } from 'class-validator';
import { DEFAULT_ITEM_LIMIT, DEFAULT_KEY_LIMIT } from '../http/parse-json-body.js';
import { CoordinationConfig } from './coordination-config.js';
import { DialectText } from './dialect-text.js';
import { LimitsConfig } from './limits-config.js';
import { DirectoryList, PLUGINS_FOLDER, PluginHostConfig, PluginOptionsMap } from './plugins-config.js';
import { SecurityConfig } from './security-config.js';
import {
  Choice,
  DEFAULT_EVENT_BYTES,
  EventBytes,
  KvAddressText,
  KvPeerList,
  MAX_TEXT_BYTES,
  Milliseconds,
  OriginUrl,
  RequiredText,
  Setting,
  Text,
  WholeNumber,
} from './setting.js';

const GIBIBYTE = 1024 ** 3;
const PORTS = { min: 0, max: 65_535 };
const MAX_COUNT = 1_000_000;
const MAX_JSON_COUNT = 100_000_000;

/** The HTTP interface. */
export class ServerConfig {
  @RequiredText('Address to listen on; 0.0.0.0 for all')
  readonly host: string = '127.0.0.1';

  @WholeNumber('Port to listen on; 0 takes a free one', PORTS)
  readonly port: number = 8000;

  @WholeNumber('Largest request body, in bytes', { min: 1, max: MAX_TEXT_BYTES })
  readonly bodyLimitBytes: number = 64 * 1024 * 1024;

  @WholeNumber('Deepest nesting of a JSON body, in levels', { min: 1, max: 1_000 })
  readonly jsonDepthLimit: number = 64;

  @WholeNumber('Most keys in a JSON body, of all its objects together', { min: 1, max: MAX_JSON_COUNT })
  readonly jsonKeyLimit: number = DEFAULT_KEY_LIMIT;

  @WholeNumber('Most values in a JSON body; token ids that are passed on as they came do not count', {
    min: 1,
    max: MAX_JSON_COUNT,
  })
  readonly jsonItemLimit: number = DEFAULT_ITEM_LIMIT;

  @Milliseconds('A client that takes nothing for this long is cut off, in ms')
  readonly stallTimeoutMs: number = 30_000;

  @Milliseconds('How long open answers may go on after SIGTERM, in ms; 0 ends them at once', 0)
  readonly drainTimeoutMs: number = 30_000;

  @Milliseconds(
    'How long the instance is not ready but takes requests after SIGTERM, for balancers to notice, in ms',
    0,
  )
  readonly drainDelayMs: number = 0;

  @Milliseconds("For a request's head to arrive, in ms")
  readonly headersTimeoutMs: number = 15_000;

  @Milliseconds('For a whole request to arrive, its body included, in ms')
  readonly requestTimeoutMs: number = 60_000;

  @Milliseconds('How long a connection without a request stays open, in ms; longer than balancers keep theirs')
  readonly keepAliveTimeoutMs: number = 72_000;

  @WholeNumber('Requests on one connection before it is closed, so that clients spread anew; 0 for any number', {
    min: 0,
    max: MAX_COUNT,
  })
  readonly maxRequestsPerSocket: number = 1_000;

  @WholeNumber('Open connections of clients; less when the process may not open as many files', {
    min: 1,
    max: MAX_COUNT,
  })
  readonly maxConnections: number = 16_384;

  @Milliseconds('For the whole answer to a request, in ms; clients may ask for less with x-request-timeout-ms')
  readonly totalTimeoutMs: number = 1_800_000;

  @WholeNumber('Requests that are answered at once; legs of other instances are counted apart', {
    min: 1,
    max: MAX_COUNT,
  })
  readonly maxInFlight: number = 1_024;

  @WholeNumber('Requests that may wait for one of those; 0 lets none wait', { min: 0, max: MAX_COUNT })
  readonly maxWaiting: number = 1_024;

  @Milliseconds('Longest wait of a request before it is begun, in ms')
  readonly admissionTimeoutMs: number = 10_000;

  @Milliseconds('An event loop that is later than this is not ready, and refuses requests while it stays so, in ms')
  readonly maxLoopDelayMs: number = 1_000;

  @WholeNumber(
    'Requests that engines may fail within a minute, none having succeeded, until not ready; 0: any number',
    {
      min: 0,
      max: MAX_COUNT,
    },
  )
  readonly maxFailures: number = 10;
}

const ENGINES = ['embedded', 'http', 'none'];

/** What computes. */
export class EngineConfig {
  @Choice('embedded: llama.cpp in this process; http: a server beside it; none: only remote instances compute', ENGINES)
  readonly kind: 'embedded' | 'http' | 'none' = 'embedded';

  @Text('Path of a GGUF file; empty takes the demo model')
  readonly model: string = '';

  @Text("Name that requests call the model by; empty takes the file's name without .gguf")
  readonly modelName: string = '';

  @WholeNumber('Prompt and answer together, in tokens; 0 takes what the model was trained for', {
    min: 0,
    max: 16_777_216,
  })
  readonly contextTokens: number = 0;

  @WholeNumber('Requests that are evaluated at once; equal on both sides of a handoff', { min: 1, max: 256 })
  readonly sequences: number = 8;

  @WholeNumber('Most tokens in one evaluation', { min: 128, max: 65_536 })
  readonly batchTokens: number = 512;

  @WholeNumber("Threads of llama.cpp; 0 takes this instance's share of the cores", { min: 0, max: 1_024 })
  readonly threads: number = 0;

  @WholeNumber("Instances that share this machine's cores", { min: 1, max: 1_024 })
  readonly instancesOnMachine: number = 1;

  @WholeNumber('Requests that may wait for a sequence; 0 lets none wait', { min: 0, max: MAX_COUNT })
  readonly maxWaiting: number = 256;

  @Milliseconds('Longest wait for a sequence, in ms')
  readonly waitTimeoutMs: number = 60_000;

  @Milliseconds('An evaluation that takes longer makes the instance not ready, in ms')
  readonly stallTimeoutMs: number = 30_000;

  @OriginUrl('Server to pass requests to', {
    when: 'engine.kind is http',
    isRequired: (_url, engine) => engine instanceof EngineConfig && engine.kind === 'http',
  })
  readonly url: string = '';

  @Text('Key for that server, sent as a bearer token', { isSecret: true })
  readonly apiKey: string = '';

  @DialectText('What that server speaks')
  readonly dialect: DialectName = 'openai';

  @KvAddressText("Where that server's KV transfer listens, for connectors that name it; empty takes their default")
  readonly kvAddress: string = '';

  @Milliseconds('To open a connection to that server, in ms')
  readonly connectTimeoutMs: number = 1_000;

  @Milliseconds('From a request sent to that server to the head of its streamed answer, in ms')
  readonly headTimeoutMs: number = 60_000;

  @Milliseconds('From a request sent to that server to the head of an answer that is not streamed, in ms')
  readonly answerTimeoutMs: number = 1_800_000;

  @Milliseconds("From the head of that server's streamed answer to its first token, in ms")
  readonly firstTokenTimeoutMs: number = 60_000;

  @Milliseconds("Between two tokens of that server's streamed answer, or two pieces of another one, in ms")
  readonly idleTimeoutMs: number = 30_000;

  @Milliseconds('For a whole request to that server, to the end of its answer, in ms')
  readonly totalTimeoutMs: number = 1_800_000;

  @EventBytes("Largest event of that server's streamed answers, in bytes")
  readonly maxEventBytes: number = DEFAULT_EVENT_BYTES;
}

const ANY_ADDRESS = ['0.0.0.0', '::', '[::]'];

/** KV handoffs of the embedded engine. */
export class KvConfig {
  @RequiredText('Address that the KV side channel listens on')
  readonly host: string = '127.0.0.1';

  @Setting(
    {
      description: 'Host that other instances reach the side channel at; empty takes kv.host',
      allowed: 'a host name or address, not empty when kv.host is 0.0.0.0 or ::',
    },
    (value, kv) =>
      typeof value === 'string' && (value !== '' || !(kv instanceof KvConfig && ANY_ADDRESS.includes(kv.host))),
  )
  readonly advertiseHost: string = '';

  @WholeNumber('Port of the side channel; 0 takes a free one', PORTS)
  readonly port: number = 0;

  @KvPeerList('Side channels that may be read from')
  readonly peers: readonly string[] = [];

  @Text('Key for those side channels, sent as a bearer token; one of security.peerKeys there', { isSecret: true })
  readonly apiKey: string = '';

  @Milliseconds('How long a handoff is kept for its decode leg, in ms')
  readonly handoffTtlMs: number = 30_000;

  @WholeNumber('Largest KV state that is taken from a peer, in bytes', { min: 0, max: Number.MAX_SAFE_INTEGER })
  readonly maxHandoffBytes: number = GIBIBYTE;

  @WholeNumber('All KV states together that are kept for others or taken from them and not loaded yet, in bytes', {
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
  })
  readonly maxKeptBytes: number = 4 * GIBIBYTE;

  @Milliseconds('Longest transfer of one KV state, in ms')
  readonly pullTimeoutMs: number = 30_000;

  @Text('Folder for KV states; empty takes /dev/shm where there is one, else the temporary folder')
  readonly directory: string = '';
}

/** The log on standard output, one JSON object a line. */
export class LogConfig {
  @Choice('Least severe level that is written', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
  readonly level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent' = 'info';
}

/** The configuration of one instance. Its shape is the YAML file's shape, and gives the environment variables. */
export class InstanceConfig {
  @ValidateNested()
  readonly server: ServerConfig = new ServerConfig();

  @ValidateNested()
  readonly engine: EngineConfig = new EngineConfig();

  @ValidateNested()
  readonly kv: KvConfig = new KvConfig();

  @ValidateNested()
  readonly coordination: CoordinationConfig = new CoordinationConfig();

  @ValidateNested()
  readonly limits: LimitsConfig = new LimitsConfig();

  @ValidateNested()
  readonly security: SecurityConfig = new SecurityConfig();

  @DirectoryList(
    'Directories whose sub-directories are plugins; one that is not there has none',
    'plugins, beside apps',
  )
  readonly pluginDirectories: readonly string[] = [PLUGINS_FOLDER];

  @PluginOptionsMap('Options of plugins, by name. They are never shown')
  readonly plugins: Readonly<Record<string, object>> = {};

  @ValidateNested()
  readonly pluginHost: PluginHostConfig = new PluginHostConfig();

  @ValidateNested()
  readonly log: LogConfig = new LogConfig();
}
