/**
 * `npm run api`: writes down what each library exports, in `libs/NAME/NAME.api.md`, so that a breaking change shows in
 * review. `npm test` fails when a report is out of date. Reads the built declarations.
 */
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT, setUp } from './setup.mjs';

/** The names of the published libraries. */
export const LIBRARIES = readdirSync(`${ROOT}libs`).filter((name) => existsSync(`${ROOT}libs/${name}/package.json`));

/**
 * Makes the reports again.
 *
 * @param {boolean} write whether those that have changed are written.
 * @returns {string[]} the paths of those that have changed, from the root.
 * @throws Error that names the library whose declarations cannot be read.
 */
export function updateReports(write) {
  const directory = mkdtempSync(join(tmpdir(), 'baton-api-'));
  try {
    return LIBRARIES.filter((name) => {
      const made = report(name, directory);
      const kept = `${ROOT}${pathOf(name)}`;
      if (existsSync(kept) && readFileSync(kept, 'utf8') === readFileSync(made, 'utf8')) return false;
      if (write) copyFileSync(made, kept);
      return true;
    }).map(pathOf);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const pathOf = (name) => `libs/${name}/${name}.api.md`;

/** Makes one report in `directory`. @returns its path. */
function report(name, directory) {
  const folder = `${ROOT}libs/${name}`;
  const entry = `${folder}/dist/index.d.ts`;
  const problems = [];
  const config = ExtractorConfig.prepare({
    packageJsonFullPath: `${folder}/package.json`,
    configObject: {
      projectFolder: folder,
      mainEntryPointFilePath: entry,
      newlineKind: 'lf',
      compiler: { overrideTsconfig: { extends: `${ROOT}tsconfig.base.json`, files: [entry] } },
      apiReport: {
        enabled: true,
        reportFileName: `${name}.api.md`,
        reportFolder: directory,
        reportTempFolder: `${directory}/temp`,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: { logLevel: 'error' } },
        // A type that is used but not exported is part of the face too: the report names it.
        extractorMessageReporting: {
          default: { logLevel: 'none' },
          'ae-forgotten-export': { logLevel: 'warning', addToApiReportFile: true },
        },
        tsdocMessageReporting: { default: { logLevel: 'none' } },
      },
    },
  });
  Extractor.invoke(config, {
    localBuild: true,
    messageCallback: (message) => {
      message.handled = true;
      if (message.logLevel === 'error') problems.push(message.text);
    },
  });
  if (problems.length > 0) throw new Error(`libs/${name}: ${problems.slice(0, 5).join('\n')}`);
  return `${directory}/${name}.api.md`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await setUp();
    const changed = updateReports(true);
    console.log(changed.length === 0 ? 'The reports are up to date.' : `Written: ${changed.join(', ')}`);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
