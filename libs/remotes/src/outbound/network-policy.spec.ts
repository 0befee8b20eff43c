import { describe, expect, it } from '@jest/globals';
import { NetworkPolicy, readNetwork } from './network-policy.js';

const NEVER = [
  ...['169.254.169.254', '169.254.0.1', '0.0.0.0', '0.1.2.3', '224.0.0.1', '239.255.255.255', '255.255.255.255'],
  ...['100.100.100.200', '168.63.129.16', '192.0.0.192'],
  ...[
    '::',
    'fe80::1',
    'fe80::1%eth0',
    'febf::1',
    'ff02::1',
    'fd00:ec2::254',
    'FD00:0EC2:0:0:0:0:0:254',
    'fd20:ce::254',
  ],
  ...['::ffff:169.254.169.254', '::ffff:a9fe:a9fe', '0:0:0:0:0:ffff:a9fe:a9fe', '64:ff9b::a9fe:a9fe', '::ffff:0.0.0.0'],
];

describe('NetworkPolicy', () => {
  it.each(NEVER)('never allows %s', (address) => {
    const policy = new NetworkPolicy();
    expect(policy.allows(address, 'name')).toBe(false);
    expect(policy.allows(address, address)).toBe(false);
    expect(policy.refusesLiteral(address)).toBe(true);
    expect(policy.refusesLiteral(`[${address}]`)).toBe(true);
  });

  it.each(['127.0.0.1', '::1', '10.0.0.7', '192.168.1.1', '8.8.8.8', 'fd00::7', '2001:db8::1', '::ffff:10.0.0.7'])(
    'allows %s unless networks are named',
    (address) => {
      expect(new NetworkPolicy().allows(address, 'name')).toBe(true);
      expect(new NetworkPolicy({ allowedNetworks: ['172.16.0.0/12', 'fc00:1::/32'] }).allows(address, 'name')).toBe(
        false,
      );
    },
  );

  it.each([
    ['10.255.0.1', true],
    ['11.0.0.1', false],
    ['::ffff:10.0.0.1', true],
    ['::ffff:11.0.0.1', false],
    ['64:ff9b::a00:1', true],
    ['fd01::7', true],
    ['fe00::7', false],
    ['not an address', false],
  ])('of the networks that are named, %s: %s', (address, is) => {
    const policy = new NetworkPolicy({ allowedNetworks: ['10.0.0.0/8', 'fd00::/8'] });
    expect(policy.allows(address, 'name')).toBe(is);
  });

  it('allows a literal that the configuration has, by that literal only', () => {
    const policy = new NetworkPolicy({ configuredHosts: ['169.254.1.7', '[fe80::7]', 'name'] });
    expect(policy.allows('169.254.1.7', '169.254.1.7')).toBe(true);
    expect(policy.refusesLiteral('[fe80::7]')).toBe(false);
    expect(policy.allows('169.254.1.7', 'name')).toBe(false);
    expect(policy.allows('169.254.1.8', '169.254.1.8')).toBe(false);
  });

  it('has no opinion of names before they are resolved', () => {
    expect(new NetworkPolicy({ allowedNetworks: ['10.0.0.0/8'] }).refusesLiteral('p-0.example')).toBe(false);
  });

  it('names the network that is none', () => {
    expect(() => new NetworkPolicy({ allowedNetworks: ['10.0.0.0/8', '10.0.0.0/33'] })).toThrow(
      'Network "10.0.0.0/33" must be a CIDR',
    );
  });
});

it.each([
  '',
  '10.0.0.0',
  '10.0.0/8',
  '10.0.0.0/',
  '10.0.0.0/08',
  '10.0.0.0/-1',
  '010.0.0.0/8',
  '::/129',
  'fe80::%1/10',
  'p/8',
])('%j is no network', (text) => expect(readNetwork(text)).toBeUndefined());
