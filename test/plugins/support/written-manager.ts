import type { PluginFiles } from './plugin-folder.js';

/** What differs between the plugins that a test writes. */
export interface WrittenManager {
  /** Of the plugin. */
  readonly plugin: string;
  /** Of its manager; by default the plugin's. */
  readonly manager?: string;
  readonly version: string;
  readonly priority: number;
  /** What is wrong with it; left out: nothing. */
  readonly broken?: 'does not parse' | 'throws at import' | 'hangs at import';
  /** A line of source that is only here to make the content another one. */
  readonly line?: string;
}

const BROKEN: Readonly<Record<NonNullable<WrittenManager['broken']>, string>> = {
  'does not parse': 'export default class {',
  'throws at import': "throw new Error('This version is broken.');",
  'hangs at import': 'await new Promise(() => undefined);',
};

/**
 * A plugin whose manager splits requests, and signs what it answered with `plugin@version`: in `system_fingerprint`, or
 * in a comment before the first event of a stream. So an answer says which generation of the plugin it is of.
 */
export function writtenManager(options: WrittenManager): PluginFiles {
  const { plugin, manager = plugin, version, priority, broken, line = '' } = options;
  const signature = `${plugin}@${version}`;
  return {
    'package.json': JSON.stringify({
      name: plugin,
      version,
      type: 'module',
      exports: './index.js',
      peerDependencies: {
        '@baton/coordination': '^0.1.0',
        '@baton/inference': '^0.1.0',
        '@nestjs/common': '^12.0.0',
        rxjs: '^7.8.0',
      },
      baton: { apiVersion: '^1.0.0', provides: [`manager:${manager}`] },
    }),
    'index.js': `
${broken === undefined ? '' : BROKEN[broken]}
import { canSplit, DECODE_POOL, PREFILL_POOL, RequestManager, Split } from '@baton/coordination';
import { bytesPart, jsonPart, wholeAnswer } from '@baton/inference';
import { Inject, Module } from '@nestjs/common';
import { map } from 'rxjs';
${line}
const COMMENT = Buffer.from(': ${signature}\\n\\n');

class WrittenManager {
  constructor(split, prefillers, decoders) {
    Object.assign(this, { split, prefillers, decoders });
  }

  dispatch(request) {
    if (!canSplit(request)) return undefined;
    const parts = this.split.run(request, { prefill: this.prefillers, decode: this.decoders });
    if (request.stream) return parts.pipe(map(signFirst));
    return parts.pipe(wholeAnswer(), map((body) => jsonPart({ ...body, system_fingerprint: '${signature}' })));
  }
}
const signFirst = (part, index) => (index === 0 ? bytesPart(Buffer.concat([COMMENT, part.bytes])) : part);
Inject(Split)(WrittenManager, undefined, 0);
Inject(PREFILL_POOL)(WrittenManager, undefined, 1);
Inject(DECODE_POOL)(WrittenManager, undefined, 2);
RequestManager({ name: '${manager}', priority: ${priority} })(WrittenManager);

export default class WrittenModule {}
Module({ providers: [WrittenManager] })(WrittenModule);
`,
  };
}
