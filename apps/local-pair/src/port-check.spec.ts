import { describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { checkPort } from './port-check.js';

describe('checkPort', () => {
  it('names the port and the variable when the port is in use', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await expect(checkPort(port, 'BATON_DECODE_PORT')).rejects.toThrow(
      `Port ${port} on 127.0.0.1 is in use; choose another port with BATON_DECODE_PORT=<port>.`,
    );
    server.close();
    await once(server, 'close');
    await expect(checkPort(port, 'BATON_DECODE_PORT')).resolves.toBeUndefined();
  });

  it('takes 0', async () => {
    await expect(checkPort(0, 'BATON_DECODE_PORT')).resolves.toBeUndefined();
  });
});
