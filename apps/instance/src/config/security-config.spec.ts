import { digestOfKey } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { ConfigError } from './config.error.js';
import { mergeLayers } from './load-config.js';
import { printConfig } from './print-config.js';
import { readEnvironment } from './read-environment.js';
import { readYaml } from './read-file.js';
import type { InstanceConfig } from './instance-config.js';

const SECRET = 'canary-canary-canary';
const fromEnv = (env: Readonly<Record<string, string>>): InstanceConfig => mergeLayers([readEnvironment(env)]);
const fromYaml = (text: string): InstanceConfig => mergeLayers([readYaml(text, 'a.yaml')]);

function problemsOf(load: () => unknown): string {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error('It was accepted.');
}

describe('the section security', () => {
  it('takes keys from the environment and shows none', () => {
    const config = fromEnv({
      BATON_SECURITY_CLIENT_KEYS: `shop:${SECRET}, blog:sha256:${digestOfKey(SECRET + SECRET)}`,
      BATON_KV_API_KEY: SECRET,
      BATON_COORDINATION_DECODE_API_KEY: SECRET,
    });
    expect(config.security.clientKeys).toHaveLength(2);
    const printed = printConfig(config);
    expect(printed).toContain('label: shop');
    expect(printed).not.toContain(SECRET);
    expect(printed).not.toContain(digestOfKey(SECRET + SECRET));
  });

  it('takes keys from a file', () => {
    const { security } = fromYaml(
      `security: { peerKeys: [{ label: lb, key: ${SECRET} }], adminKeys: [{ label: ops, sha256: ${'a'.repeat(64)} }], keyless: refuse }`,
    );
    expect(security).toMatchObject({ peerKeys: [{ label: 'lb', key: SECRET }], keyless: 'refuse' });
  });

  it.each([
    [`a:${'k'.repeat(15)}`, 'security.clientKeys[0].key'],
    [`a:${'k'.repeat(513)}`, 'security.clientKeys[0].key'],
    [`A:${SECRET}`, 'security.clientKeys[0].label'],
    [`${'a'.repeat(33)}:${SECRET}`, 'security.clientKeys[0].label'],
    [`anonymous:${SECRET}`, 'security.clientKeys[0].label'],
    [`:${SECRET}`, 'security.clientKeys[0].label'],
    [SECRET, 'security.clientKeys[0]'],
    [`a:sha256:${SECRET}`, 'security.clientKeys[0].sha256'],
    [`a:${SECRET},b:${SECRET}`, 'security.clientKeys[1]'],
    [`a:${SECRET},a:${SECRET}2`, 'security.clientKeys[1]'],
    [`a:${SECRET},b:sha256:${digestOfKey(SECRET)}`, 'security.clientKeys[1]'],
  ])('refuses %s at %s', (text, at) => {
    const problems = problemsOf(() => fromEnv({ BATON_SECURITY_CLIENT_KEYS: text }));
    expect(problems).toContain(`${at} (BATON_SECURITY_CLIENT_KEYS)`);
    if (!text.startsWith('A')) expect(problems).not.toContain(SECRET);
  });

  it.each([
    `[{ label: a, key: ${SECRET}, sha256: ${'a'.repeat(64)} }]`,
    '[{ label: a }]',
    `[{ label: a, key: ${SECRET}, more: ${SECRET} }]`,
    `[[${SECRET}]]`,
    `{ label: a, key: ${SECRET} }`,
    SECRET,
  ])('refuses %s, and does not show it', (keys) => {
    const problems = problemsOf(() => fromYaml(`security: { peerKeys: ${keys} }`));
    expect(problems).toContain('security.peerKeys');
    expect(problems).not.toContain(SECRET);
  });

  it('refuses a label or a key that another list has', () => {
    const twin = { BATON_SECURITY_CLIENT_KEYS: `a:${SECRET}`, BATON_SECURITY_ADMIN_KEYS: `b:${SECRET}` };
    expect(problemsOf(() => fromEnv(twin))).toContain('security.adminKeys[0] (BATON_SECURITY_ADMIN_KEYS)');
  });
});
