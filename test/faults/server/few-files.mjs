// Imported by an instance before its own modules: lets its process open 640 files. With fewer it could not load them.
import { execFileSync } from 'node:child_process';

execFileSync('prlimit', ['--pid', String(process.pid), '--nofile=640:640']);
