import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from './config.error.js';
import { InstanceConfig } from './instance-config.js';
import { loadConfig } from './load-config.js';
import { LEAVES } from './leaves.js';
import { printConfig } from './print-config.js';

const coordinator = (connector: string): string =>
  `coordination: {connector: "${connector}", prefill: {endpoints: [http://a:1]}, decode: {endpoints: [http://b:1]}}`;

describe('loadConfig', () => {
  let directory: string;
  let file: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'baton-config-'));
    file = join(directory, 'baton.yaml');
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  function problemsOf(yaml: string | undefined, env: NodeJS.ProcessEnv = {}): readonly string[] {
    if (yaml !== undefined) writeFileSync(file, yaml);
    try {
      loadConfig({ file: yaml === undefined ? undefined : file, env });
    } catch (error) {
      if (error instanceof ConfigError) return error.problems;
      throw error;
    }
    return [];
  }

  it('gives the defaults when nothing is said, and they are valid', () => {
    expect(loadConfig({ env: {} })).toEqual(new InstanceConfig());
  });

  it('lets the environment win over the file, and the file over the defaults', () => {
    writeFileSync(file, 'server:\n  port: 1\n  host: 10.0.0.1\n');
    const { server } = loadConfig({ file, env: { BATON_SERVER_PORT: '2', HOME: '/root' } });
    expect(server).toMatchObject({ port: 2, host: '10.0.0.1', bodyLimitBytes: 67_108_864 });
  });

  it('has one variable for each setting, named after its path', () => {
    const variables = LEAVES.map(({ variable }) => variable);
    expect(new Set(variables).size).toBe(variables.length);
    expect(variables).toContain('BATON_ENGINE_CONTEXT_TOKENS');
    expect(variables).toContain('BATON_COORDINATION_DECODE_HEAD_TIMEOUT_MS');
  });

  it('reads lists separated by commas, and empty lists', () => {
    const env = { BATON_KV_PEERS: '10.0.0.7:9000, [::1]:*,localhost:*' };
    expect(loadConfig({ env }).kv.peers).toEqual(['10.0.0.7:9000', '[::1]:*', 'localhost:*']);
    expect(loadConfig({ env: { BATON_KV_PEERS: '' } }).kv.peers).toEqual([]);
  });

  it('takes BATON_MODEL for the model, and refuses two different ones', () => {
    expect(loadConfig({ env: { BATON_MODEL: 'a.gguf' } }).engine.model).toBe('a.gguf');
    expect(problemsOf(undefined, { BATON_MODEL: 'a', BATON_ENGINE_MODEL: 'b' })).toEqual([
      'BATON_MODEL and BATON_ENGINE_MODEL both set engine.model, to different values.',
    ]);
  });

  it('takes zero as zero', () => {
    const env = { BATON_SERVER_DRAIN_TIMEOUT_MS: '0', BATON_ENGINE_MAX_WAITING: '0', BATON_SERVER_PORT: '0' };
    const config = loadConfig({ env });
    expect([config.server.drainTimeoutMs, config.engine.maxWaiting, config.server.port]).toEqual([0, 0, 0]);
  });

  it("lets the pair's own variables pass", () => {
    expect(problemsOf(undefined, { BATON_PREFILL_PORT: 'x', BATON_DECODE_PORT: 'y' })).toEqual([]);
  });

  it('tells every problem at once, with key, source, value and what is allowed', () => {
    const problems = problemsOf('server:\n  port: 65536\n  colour: red\nlog:\n  level: loud\n', {
      BATON_ENGINE_SEQUENCES: '0',
      BATON_NONSENSE: '1',
    });
    expect(problems).toEqual([
      expect.stringContaining(`server.colour (${file}) is not a setting; server has host, port, bodyLimitBytes,`),
      'BATON_NONSENSE (environment) is not a setting; --help lists them all.',
      `server.port (${file}): 65536 is not allowed; it must be a whole number from 0 to 65535.`,
      'engine.sequences (BATON_ENGINE_SEQUENCES): 0 is not allowed; it must be a whole number from 1 to 256.',
      `log.level (${file}): "loud" is not allowed; it must be one of fatal, error, warn, info, debug, trace, silent.`,
    ]);
  });

  it.each([
    ['server:\n  port: "8000"', 'server.port'],
    ['server:\n  port:', 'server.port'],
    ['server:\n  port: 8000.5', 'server.port'],
    ['server:\n  port: .inf', 'server.port'],
    ['server:\n  stallTimeoutMs: 2147483648', 'server.stallTimeoutMs'],
    ['server: 8000', 'server'],
    ['engine:\n  kind: http', 'engine.url'],
    ['engine:\n  url: http://host:1/path', 'engine.url'],
    ['kv:\n  host: 0.0.0.0', 'kv.advertiseHost'],
    ['kv:\n  peers: 10.0.0.7:9000', 'kv.peers'],
    ['kv:\n  peers: ["10.0.0.7"]', 'kv.peers'],
    ['kv:\n  peers: ["10.0.0.7:0"]', 'kv.peers'],
    ['coordination:\n  connector: embedded', 'coordination.connector'],
    ['coordination:\n  decode:\n    endpoints: http://a:1', 'coordination.decode.endpoints'],
    ['coordination:\n  decode:\n    endpoints: [ftp://host]', 'coordination.decode.endpoints[0]'],
    ['coordination:\n  decode:\n    endpoints: [5]', 'coordination.decode.endpoints[0]'],
    ['coordination:\n  decode:\n    endpoints: [{}]', 'coordination.decode.endpoints[0].url'],
    ['coordination:\n  decode:\n    endpoints: [http://a:1, {url: "http://a:1/"}]', 'coordination.decode.endpoints[1]'],
    [
      'coordination:\n  prefill:\n    endpoints: [{url: "http://a:1", apikey: k}]',
      'coordination.prefill.endpoints[0].apikey',
    ],
    [
      'coordination:\n  prefill:\n    endpoints: [{url: "http://a:1", __proto__: {port: 1}}]',
      'coordination.prefill.endpoints[0].__proto__',
    ],
    [
      'coordination:\n  prefill:\n    endpoints: [{url: "http://a:1", kvAddress: a}]',
      'coordination.prefill.endpoints[0].kvAddress',
    ],
    [
      'coordination:\n  prefill:\n    endpoints: [{url: "http://a:1", dialect: Latin!}]',
      'coordination.prefill.endpoints[0].dialect',
    ],
    ['coordination:\n  prefill:\n    dialect: ""', 'coordination.prefill.dialect'],
    ['engine:\n  dialect: [vllm]', 'engine.dialect'],
    ['coordination:\n  retryBudgetPercent: 101', 'coordination.retryBudgetPercent'],
    ['coordination:\n  managers: {name: local}', 'coordination.managers'],
    ['coordination:\n  managers: [local]', 'coordination.managers[0]'],
    ['coordination:\n  managers: [{}]', 'coordination.managers[0].name'],
    ['coordination:\n  managers: [{name: a}, {name: a}]', 'coordination.managers[1].name'],
    ['coordination:\n  managers: [{name: a, priority: 1.5}]', 'coordination.managers[0].priority'],
    ['coordination:\n  managers: [{name: a, enabled: 1}]', 'coordination.managers[0].enabled'],
    ['coordination:\n  managers: [{name: a, when: {}}]', 'coordination.managers[0].when'],
    ['coordination:\n  managers: [{name: a, canaryPercent: 100.5}]', 'coordination.managers[0].canaryPercent'],
    ['coordination:\n  managers: [{name: a, canaryPercent: "5"}]', 'coordination.managers[0].canaryPercent'],
    ['coordination:\n  managers: [{name: a, canaryHeader: "x y"}]', 'coordination.managers[0].canaryHeader'],
    ['coordination:\n  managers: [{name: a, shadow: yes}]', 'coordination.managers[0].shadow'],
    ['coordination:\n  policyState: redis', 'coordination.policyState'],
    ['coordination:\n  policyState: file', 'coordination.policyStateDirectory'],
    ['coordination:\n  policyStateDirectory: 5', 'coordination.policyStateDirectory'],
    ['coordination:\n  requestRecords: -1', 'coordination.requestRecords'],
    [
      'coordination:\n  managers: [{name: a, disaggregateWhen: {minTokens: 1}}]',
      'coordination.managers[0].disaggregateWhen.minTokens',
    ],
    [
      'coordination:\n  managers: [{name: a, disaggregateWhen: {apis: [chats]}}]',
      'coordination.managers[0].disaggregateWhen.apis',
    ],
    [
      'coordination:\n  managers: [{name: a, disaggregateWhen: {header: {}}}]',
      'coordination.managers[0].disaggregateWhen.header.name',
    ],
    ['engine:\n  kvAddress: nowhere', 'engine.kvAddress'],
    [`engine: {kind: none}\n${coordinator('')}`, 'coordination.connector'],
    [
      'engine: {kind: none}\ncoordination: {connector: nixl, decode: {endpoints: [http://a:1]}}',
      'coordination.prefill.endpoints',
    ],
    ['__proto__:\n  port: 1', '__proto__'],
    ['server:\n  __proto__: {}', 'server.__proto__'],
    ['server:\n  constructor: 1', 'server.constructor'],
  ])('refuses %j and names %s', (yaml, key) => {
    const problems = problemsOf(yaml);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${key.replaceAll(/[.[\]]/g, '\\$&')} `));
    expect(({} as { port?: number }).port).toBeUndefined();
  });

  it('names a file that is not there, not YAML, or not a mapping', () => {
    expect(() => loadConfig({ file: '/nowhere.yaml', env: {} })).toThrow(/\/nowhere\.yaml cannot be read: ENOENT/);
    expect(problemsOf('a: [')[0]).toContain(`${file} is not valid YAML`);
    expect(problemsOf('server:\n  port: 1\n  port: 2\n')[0]).toContain('Map keys must be unique');
    expect(problemsOf('- 1')[0]).toContain('must hold sections');
    expect(problemsOf('')).toEqual([]);
  });

  it('never shows a secret', () => {
    const config = loadConfig({ env: { BATON_ENGINE_API_KEY: 'hunter2' } });
    expect(config.engine.apiKey).toBe('hunter2');
    expect(printConfig(config)).toContain('apiKey: "***"');
    const [problem] = problemsOf('engine:\n  apiKey: [hunter2]');
    expect(problem).toContain('engine.apiKey');
    expect(problem).not.toContain('hunter2');
  });

  it('never shows a secret of an endpoint', () => {
    writeFileSync(file, 'coordination:\n  decode:\n    endpoints: [{url: "http://a:1", apiKey: hunter2}]\n');
    const config = loadConfig({ file, env: {} });
    expect(config.coordination.decode.endpoints).toEqual([{ url: 'http://a:1', apiKey: 'hunter2' }]);
    expect(printConfig(config)).not.toContain('hunter2');
    expect(printConfig(config)).toContain('apiKey: "***"');
    const refused = [
      'endpoints: [{url: "http://a:1", apiKey: [hunter2]}]',
      'endpoints: [{url: "http://a:1", apikey: hunter2}]',
      'endpoints: [{url: "http://a:1/path", apiKey: hunter2}]',
      'endpoints: [[{url: "http://a:1", apiKey: hunter2}]]',
      'endpoints: {url: "http://a:1", apiKey: hunter2}',
      'endpoints: ["http://somebody:hunter2@a:1"]',
    ];
    for (const yaml of refused) {
      const [problem] = problemsOf(`coordination:\n  decode:\n    ${yaml}`);
      expect(problem).toContain('coordination.decode.endpoints');
      expect(problem).not.toContain('hunter2');
    }
  });

  it('reads managers from either source', () => {
    const managers = [{ name: 'local', priority: -1, disaggregateWhen: { apis: ['chat'], header: { name: 'x' } } }];
    const env = { BATON_COORDINATION_MANAGERS: JSON.stringify(managers) };
    const { coordination } = loadConfig({ env });
    expect(coordination).toMatchObject({ managers });
    writeFileSync(file, `coordination:\n  managers: ${JSON.stringify(managers)}\n`);
    expect(loadConfig({ file, env: {} }).coordination).toEqual(coordination);
    expect(problemsOf(undefined, { BATON_COORDINATION_MANAGERS: '[' })).toEqual([
      expect.stringMatching(/^coordination\.managers \(BATON_COORDINATION_MANAGERS\): "\[" is not allowed/),
    ]);
  });

  it('takes an instance without an engine when both pools have somebody', () => {
    expect(problemsOf(`engine: {kind: none}\n${coordinator('nixl')}`)).toEqual([]);
    expect(problemsOf('engine: {kind: none}')).toEqual([
      expect.stringMatching(/^coordination\.connector \(default\): "" is not allowed; .* engine\.kind is none/),
      expect.stringMatching(/^coordination\.prefill\.endpoints \(default\): \[\] is not allowed/),
      expect.stringMatching(/^coordination\.decode\.endpoints \(default\): \[\] is not allowed/),
    ]);
  });

  it('wants a KV address of every server for connectors that have no default for it', () => {
    const yaml = (decode: string, connector = 'p2p-nccl') =>
      'engine: {kind: http, url: http://a:1}\n' +
      `coordination: {connector: ${connector}, prefill: {endpoints: [http://p:1]}, decode: {endpoints: [${decode}]}}`;
    expect(problemsOf(yaml('{url: "http://b:1"}, {url: "http://c:1", kvAddress: "c:2"}'))).toEqual([
      expect.stringMatching(/^engine\.kvAddress \(default\): "" is not allowed; it must be host:port when .* p2p-nccl/),
      expect.stringMatching(/^coordination\.prefill\.endpoints\[0\]\.kvAddress \(.*\.yaml\): nothing is not allowed/),
      expect.stringMatching(/^coordination\.decode\.endpoints\[0\]\.kvAddress \(.*\.yaml\): nothing is not allowed/),
    ]);
    expect(problemsOf(yaml('http://b:1', 'mooncake'))).toEqual([]);
    const addressed =
      'engine: {kind: http, url: http://a:1, kvAddress: "a:2"}\ncoordination: {connector: p2p-nccl, decode: ';
    expect(problemsOf(`${addressed}{endpoints: [{url: "http://b:1", kvAddress: "b:2"}]}}`)).toEqual([]);
    expect(problemsOf(`${addressed}{endpoints: [5]}}`)).toEqual([
      expect.stringMatching(/^coordination\.decode\.endpoints\[0\] /),
    ]);
  });

  it('prints what it reads again to the same', () => {
    const env = {
      BATON_SERVER_PORT: '1',
      BATON_COORDINATION_CONNECTOR: 'embedded',
      BATON_COORDINATION_DECODE_ENDPOINTS: 'http://a:1,http://b:2',
      BATON_COORDINATION_MANAGERS: '[{"name":"local","enabled":false}]',
    };
    const config = loadConfig({ env });
    writeFileSync(file, printConfig(config));
    expect(loadConfig({ file, env: {} })).toEqual(config);
  });
});
