/** Specs run the TypeScript sources of all rooms as ES modules: the `baton-source` export condition leads to `src`. */
const project = (displayName, testMatch, setupFilesAfterEnv = []) => ({
  displayName,
  setupFilesAfterEnv,
  rootDir: import.meta.dirname,
  testMatch,
  testEnvironment: 'node',
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

const WIRE = ['test/conformance', 'test/coordinator', 'test/misbehaviour'];

export default {
  projects: [
    project('unit', ['<rootDir>/libs/**/src/**/*.spec.ts', '<rootDir>/apps/**/src/**/*.spec.ts']),
    {
      ...project('e2e', ['<rootDir>/test/**/*.e2e-spec.ts'], ['<rootDir>/test/e2e-timeout.mjs']),
      testPathIgnorePatterns: WIRE.map((path) => `<rootDir>/${path}/`),
    },
    // Against simulators, which mostly wait: these run side by side, while the others have the machine to themselves.
    project('faults', ['<rootDir>/test/faults/**/*.faults-spec.ts'], ['<rootDir>/test/e2e-timeout.mjs']),
    project(
      'wire',
      WIRE.map((path) => `<rootDir>/${path}/**/*.e2e-spec.ts`),
      ['<rootDir>/test/e2e-timeout.mjs'],
    ),
  ],
};
