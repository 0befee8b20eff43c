#!/usr/bin/env node
// npm links only what is there when it installs, and that is before the build.
await import(new URL('../dist/main.js', import.meta.url).href);
