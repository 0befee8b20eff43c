import type { NestFastifyApplication } from '@nestjs/platform-fastify';

/** Starts the engine, then listens. Resolves to the base URL that this machine reaches the instance at. */
export async function listen(
  app: NestFastifyApplication,
  { host, port }: { host: string; port: number },
): Promise<URL> {
  await app.listen(port, host);
  const address = app.getHttpServer().address();
  const boundPort = typeof address === 'object' && address !== null ? address.port : port;
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;
  return new URL(`http://${name}:${boundPort}`);
}
