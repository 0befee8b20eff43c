/** The engine double in a process of its own. Its modules are TypeScript: they are compiled into the directory given. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';

const source = fileURLToPath(new URL('../support/', import.meta.url));
const directory = process.argv[2];

const files = [
  'engine-double.ts',
  ...readdirSync(join(source, 'engine-double')).map((name) => join('engine-double', name)),
];
for (const file of files) {
  const { outputText } = ts.transpileModule(readFileSync(join(source, file), 'utf8'), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 },
  });
  const target = join(directory, file.replace(/\.ts$/, '.js'));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, outputText);
}
writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');

const { startEngineDouble } = await import(pathToFileURL(join(directory, 'engine-double.js')).href);
const double = await startEngineDouble({ batchSteps: true, keepRequests: 0 });

process.on('message', (message) => {
  if (message.behaviour) double.behave(message.behaviour);
  const { handoffs, active } = double;
  process.send({ type: 'state', handoffs, active });
});
process.on('disconnect', () => process.exit());
process.send({ type: 'ready', url: double.url });
