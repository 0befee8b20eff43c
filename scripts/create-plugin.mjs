/**
 * `npm run create:plugin -- NAME [--directory DIR]`: a plugin to begin with, in a folder of DIR (default: `plugins`), from
 * `plugin-template`. Inside of this repository it uses the packages around it. Outside it gets them packed into its folder
 * `vendor`, so that it builds wherever it is moved, and npm installs the rest.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { npm, packLibraries } from './pack.mjs';
import { ROOT, setUp } from './setup.mjs';

const TEMPLATE = fileURLToPath(new URL('plugin-template/', import.meta.url));
const USAGE = 'Usage: npm run create:plugin -- NAME [--directory DIR]';
/** As npm wants it, and so that a class can be named after it. */
const NAME = /^(?:@[a-z0-9][a-z0-9._-]*\/)?[a-z][a-z0-9._-]*$/;
const MAX_NAME = 64;
/** What a plugin is written with; `engines` is for instances. */
const LIBRARIES = ['inference', 'remotes', 'coordination', 'testing'];
/** What its host has: it is built and tested with the same versions. */
const HOST = [
  '@nestjs/common',
  '@nestjs/core',
  'class-transformer',
  'class-validator',
  'fastify',
  'reflect-metadata',
  'rxjs',
];
const TOOLS = ['@types/node', 'typescript'];
const INSTALL_TIMEOUT_MS = 10 * 60_000;

/** Makes the plugin. @returns where it is. @throws Error that says what is wrong with the arguments. */
async function create(args) {
  const { name, parent } = readArguments(args);
  const isInside = withinRoot(parent);
  const directory = join(parent, basename(name));
  if (existsSync(directory))
    throw new Error(`${shown(directory)} exists already: choose another name, or another directory.`);
  await setUp();
  mkdirSync(parent, { recursive: true });
  // A host that watches sees nothing of it before it is whole: it passes over what begins with a dot.
  const draft = mkdtempSync(join(parent, '.new-plugin-'));
  try {
    await write(draft, name);
    if (!isInside) await addPackages(draft);
    renameSync(draft, directory);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    throw error;
  }
  return { directory, name };
}

function readArguments(args) {
  const { values, positionals } = parseArgs({
    args,
    options: { directory: { type: 'string' } },
    allowPositionals: true,
  });
  const [name, ...others] = positionals;
  if (name === undefined) throw new Error(`There is no name. ${USAGE}`);
  if (others.length > 0) throw new Error(`One name, not ${positionals.length}. ${USAGE}`);
  if (!NAME.test(name) || name.length > MAX_NAME || name.includes('..')) {
    throw new Error(
      `"${name}" is not the name of a plugin: at most ${MAX_NAME} of a-z, 0-9, ".", "_" and "-", and first a letter; ` +
        'with a scope, such as @acme/name, or without.',
    );
  }
  if ([...builtinModules, 'node_modules'].includes(name)) throw new Error(`"${name}" means something else in Node.`);
  if (values.directory === '') throw new Error(`--directory names no directory. ${USAGE}`);
  // npm runs scripts in the root; a relative directory is one of where it was called.
  const base = process.env['INIT_CWD'] ?? process.cwd();
  return { name, parent: values.directory === undefined ? `${ROOT}plugins` : resolve(base, values.directory) };
}

/** @throws Error for a directory of this repository that is not for plugins. */
function withinRoot(parent) {
  const path = relative(realpathSync(ROOT), realOf(parent));
  const isInside = path === '' || !(path === '..' || path.startsWith(`..${sep}`) || resolve(path) === path);
  if (isInside && path !== 'plugins') {
    throw new Error(`${shown(parent)} is in this repository: plugins go into its folder plugins, or somewhere else.`);
  }
  return isInside;
}

/** With links followed, as far as it exists. */
function realOf(path) {
  if (existsSync(path)) return realpathSync(path);
  return join(realOf(dirname(path)), basename(path));
}

/** The template, under its new name; formatted again, since lines have become longer or shorter. */
async function write(directory, name) {
  // Only now: it may just have been installed.
  const { format, resolveConfig } = await import('prettier');
  const style = await resolveConfig(`${ROOT}package.json`);
  const short = basename(name);
  const pascal = short.replace(/(?:^|[._-]+)(.?)/g, (_match, letter) => letter.toUpperCase());
  const renamed = (text) =>
    text
      .replaceAll('admin/plugins/short-answers-plugin', `admin/plugins/${encodeURIComponent(name)}`)
      .replaceAll('short-answers-plugin', name)
      .replaceAll('short-answers', short)
      .replaceAll('ShortAnswers', pascal);
  cpSync(TEMPLATE, directory, { recursive: true, filter: (path) => !/[\\/](dist|node_modules)$/.test(path) });
  for (const path of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!path.isFile()) continue;
    const file = join(path.parentPath ?? path.path, path.name);
    const text = renamed(readFileSync(file, 'utf8'));
    rmSync(file);
    writeFileSync(join(dirname(file), renamed(path.name)), await format(text, { ...style, filepath: file }));
  }
  writeFileSync(join(directory, '.gitignore'), 'dist/\nnode_modules/\n');
}

/** Gives it what a plugin inside finds around it. */
async function addPackages(directory) {
  const vendor = join(directory, 'vendor');
  mkdirSync(vendor);
  const packed = await packLibraries(LIBRARIES, vendor);
  const { dependencies, devDependencies, overrides } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8'));
  const versions = { ...dependencies, ...devDependencies };
  edit(directory, (manifest) => ({
    ...manifest,
    devDependencies: Object.fromEntries([
      ...packed.map(({ library, tarball }) => [`@baton/${library}`, `file:vendor/${basename(tarball)}`]),
      ...[...HOST, ...TOOLS].map((dependency) => [dependency, versions[dependency]]),
    ]),
    // As in the host: newer ones of these need a newer Node.
    overrides: Object.fromEntries(['cookie', 'file-type'].map((dependency) => [dependency, overrides[dependency]])),
  }));
  console.log('Installing its packages (npm install) ...');
  await npm(['install', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: directory,
    timeout: INSTALL_TIMEOUT_MS,
  });
}

function edit(directory, change) {
  const file = join(directory, 'package.json');
  writeFileSync(file, `${JSON.stringify(change(JSON.parse(readFileSync(file, 'utf8'))), null, 2)}\n`);
}

const shown = (path) => {
  const short = relative(process.env['INIT_CWD'] ?? process.cwd(), path);
  return short.startsWith('..') ? path : short || '.';
};

try {
  const { directory, name } = await create(process.argv.slice(2));
  console.log(`Created ${name} in ${shown(directory)}. Build and test it:\n\n  cd ${shown(directory)}\n  npm test\n`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
