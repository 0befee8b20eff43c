import { createServer } from 'node:net';

// Takes as few connections as the system lets it before it is asked.
const server = createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () =>
  process.send(server.address().port),
);
