/**
 * `node --import patched-lookup.mjs`: names that end with `.test` are looked up in the file that FAULTS_DNS names, a JSON
 * object of addresses (or of errors: `"!ESERVFAIL"`), which is read anew each time.
 */
import dns from 'node:dns';
import { readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const system = dns.lookup;
const systemPromise = dns.promises.lookup;
const file = process.env['FAULTS_DNS'];

function found(host) {
  const address = JSON.parse(readFileSync(file, 'utf8'))[host];
  if (address === undefined || address.startsWith('!')) {
    const code = address?.slice(1) ?? 'ENOTFOUND';
    throw Object.assign(new Error(`lookup ${code} ${host}`), { code, hostname: host });
  }
  return { address, family: 4 };
}

dns.lookup = (host, options, callback = options) => {
  if (!host.endsWith('.test')) return system(host, options, callback);
  try {
    const { address, family } = found(host);
    if (options.all === true) process.nextTick(callback, null, [{ address, family }]);
    else process.nextTick(callback, null, address, family);
  } catch (error) {
    process.nextTick(callback, error);
  }
};
dns.promises.lookup = async (host, options) => {
  if (!host.endsWith('.test')) return systemPromise(host, options);
  return options?.all === true ? [found(host)] : found(host);
};
syncBuiltinESMExports();
