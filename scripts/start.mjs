/** `npm start`: installs and builds what is missing, then runs the local pair in this process. */
import { setUp } from './setup.mjs';

try {
  await setUp();
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
await import('../apps/local-pair/dist/main.js');
