/** Specs run the TypeScript sources of all rooms as ES modules: the `baton-source` export condition leads to `src`. */
const project = (displayName, testMatch, setupFilesAfterEnv = []) => ({
  displayName,
  setupFilesAfterEnv,
  rootDir: import.meta.dirname,
  testMatch,
  testEnvironment: '<rootDir>/test/jest-environment.mjs',
  // Neither `import` nor `default` may be named here: CommonJS packages would resolve to their ES module files.
  testEnvironmentOptions: { customExportConditions: ['baton-source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  modulePathIgnorePatterns: ['/dist/'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': ['$1.ts', '$1.js'] },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        swcrc: false,
        jsc: {
          target: 'es2022',
          keepClassNames: true,
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
        },
        module: { type: 'es6' },
      },
    ],
  },
});

/** With simulators in place of engines. */
const WIRE = ['test/conformance', 'test/coordinator', 'test/misbehaviour', 'test/plugins'];
const PATIENT = ['<rootDir>/test/e2e-timeout.mjs'];

export default {
  // A worker keeps the modules of the files that it has run, and is replaced when they are many.
  workerIdleMemoryLimit: '700MB',
  projects: [
    project(
      'unit',
      ['libs/**/src', 'apps/**/src', 'plugins/*/src'].map((path) => `<rootDir>/${path}/**/*.spec.ts`),
    ),
    {
      ...project('e2e', ['<rootDir>/test/**/*.e2e-spec.ts'], PATIENT),
      testPathIgnorePatterns: WIRE.map((path) => `<rootDir>/${path}/`),
    },
    project('faults', ['<rootDir>/test/faults/**/*.faults-spec.ts'], PATIENT),
    project(
      'wire',
      WIRE.map((path) => `<rootDir>/${path}/**/*.e2e-spec.ts`),
      PATIENT,
    ),
  ],
};
