import { createRequire } from 'node:module';

/** The version of this package. The path of its manifest is the same from `src` and from `dist`. */
export function packageVersion(): string {
  const manifest: unknown = createRequire(import.meta.url)('../package.json');
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : '0.0.0';
}
