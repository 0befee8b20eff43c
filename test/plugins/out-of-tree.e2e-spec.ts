import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, cp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ask, FLOWS } from '../support/requests.js';
import { PluginRig } from './support/rig.js';

const NODE_MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));

const MANIFEST = {
  name: 'out-of-tree',
  version: '1.2.3',
  type: 'module',
  exports: './dist/index.js',
  engines: { node: '>=20' },
  peerDependencies: { '@baton/coordination': '^0.1.0', '@baton/remotes': '^0.1.0', '@nestjs/common': '^12.0.0' },
  baton: { apiVersion: '^1.0.0', provides: ['manager:out-of-tree'] },
};

const TSCONFIG = {
  compilerOptions: {
    ...{ module: 'nodenext', target: 'es2023', lib: ['es2023'], types: ['node'], strict: true, skipLibCheck: true },
    ...{ experimentalDecorators: true, emitDecoratorMetadata: true, rootDir: 'src', outDir: 'dist' },
  },
  include: ['src'],
};

/** As an author writes it: decorators, and dependencies by their types. */
const SOURCES = {
  'src/index.ts': `
import { Module } from '@nestjs/common';
import { OutOfTreeManager } from './out-of-tree.manager.js';

@Module({ providers: [OutOfTreeManager] })
export default class OutOfTreeModule {}
`,
  'src/out-of-tree.manager.ts': `
import {
  canSplit, DECODE_POOL, PREFILL_POOL, RequestManager, Split, type DisaggregatedRequestManager,
} from '@baton/coordination';
import type { InferenceRequest, ResponsePart } from '@baton/inference';
import { RemotePool } from '@baton/remotes';
import { Inject } from '@nestjs/common';
import type { Observable } from 'rxjs';

@RequestManager({ name: 'out-of-tree', priority: -60 })
export class OutOfTreeManager implements DisaggregatedRequestManager {
  constructor(
    private readonly split: Split,
    @Inject(PREFILL_POOL) private readonly prefillers: RemotePool,
    @Inject(DECODE_POOL) private readonly decoders: RemotePool,
  ) {}

  dispatch(request: InferenceRequest): Observable<ResponsePart> | undefined {
    if (!canSplit(request) || this.prefillers.isEmpty || this.decoders.isEmpty) return undefined;
    return this.split.run(request, { prefill: this.prefillers, decode: this.decoders });
  }
}
`,
};

describe('plugins outside of the repository', () => {
  let rig: PluginRig;
  let project: string;

  beforeAll(async () => {
    rig = await PluginRig.start();
    project = await mkdtemp(join(tmpdir(), 'out-of-tree-'));
  });
  afterAll(() => rig.stop());
  afterAll(() => rm(project, { recursive: true, force: true }));

  const answers = async (url: string): Promise<unknown> => {
    const { status, headers } = await ask(url, FLOWS[0]!, FLOWS[0]!.body('A fox named Ivy.', [], 4));
    return [status, headers.get('x-baton-manager')];
  };

  it('load when they were written in TypeScript and built on their own, as when they are one file of JavaScript', async () => {
    await mkdir(join(project, 'src'));
    await writeFile(join(project, 'package.json'), JSON.stringify(MANIFEST));
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify(TSCONFIG));
    for (const [path, text] of Object.entries(SOURCES)) await writeFile(join(project, path), text);
    // What npm installs for an author; the folder that is dropped has none of it.
    await symlink(NODE_MODULES, join(project, 'node_modules'));
    await promisify(execFile)(process.execPath, [join(NODE_MODULES, 'typescript/bin/tsc'), '-p', project]);

    const folder = await rig.folder();
    const dropped = join(folder.path, 'any-name-of-a-folder');
    await mkdir(dropped);
    await cp(join(project, 'package.json'), join(dropped, 'package.json'));
    await cp(join(project, 'dist'), join(dropped, 'dist'), { recursive: true });
    await folder.drop('single-file');

    const { instance, admin } = await rig.instance({ directories: [folder.path] });
    expect(await admin.plugins()).toEqual([
      expect.objectContaining({
        name: 'out-of-tree',
        version: '1.2.3',
        status: 'loaded',
        provides: ['manager:out-of-tree'],
      }),
      expect.objectContaining({ name: 'single-file', version: '1.0.0', status: 'loaded' }),
    ]);
    expect(await answers(instance.url)).toEqual([200, 'out-of-tree']);
    expect((await admin.unload('out-of-tree')).status).toBe(200);
    expect(await answers(instance.url)).toEqual([200, 'single-file']);
  });
});
