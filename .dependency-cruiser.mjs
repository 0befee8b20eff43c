/**
 * The architecture check: arrows between rooms point downward only, there are no circles, and nobody reaches
 * behind a room's index.ts. `docs/architecture.md` says what each room is for.
 */

/** The rooms that a library may use besides itself. */
const arrows = {
  inference: [],
  remotes: ['inference'],
  engines: ['inference', 'remotes'],
  coordination: ['inference', 'remotes'],
  testing: ['inference', 'remotes', 'coordination'],
};

const SPEC = '\\.((e2e-)?spec(-support)?|test)\\.ts$';

const upward = Object.entries(arrows).map(([room, below]) => ({
  name: `arrow-upward-from-${room}`,
  comment: `libs/${room} may use ${below.map((lib) => `libs/${lib}`).join(' and ') || 'no other room'}.`,
  severity: 'error',
  from: { path: `^libs/${room}/` },
  to: {
    path: '^(libs|apps|plugins|test|scripts)/',
    pathNot: `^libs/(${[room, ...below].join('|')})/`,
  },
}));

export default {
  forbidden: [
    ...upward,
    {
      name: 'arrow-upward-from-instance',
      comment: 'apps/instance is composed of the libraries alone.',
      severity: 'error',
      from: { path: '^apps/instance/' },
      to: { path: '^(apps|plugins|test|scripts)/', pathNot: '^apps/instance/' },
    },
    {
      name: 'arrow-upward-from-local-pair',
      comment: 'apps/local-pair starts instances as processes; it imports libs/inference alone.',
      severity: 'error',
      from: { path: '^apps/local-pair/' },
      to: { path: '^(libs|apps|plugins|test|scripts)/', pathNot: '^(apps/local-pair|libs/inference)/' },
    },
    {
      name: 'simulator-stands-alone',
      comment:
        'A mistake in a library must not be made on both sides of the wire: apps/simulator imports none of them.',
      severity: 'error',
      from: { path: '^apps/simulator/' },
      to: { path: '^(libs|apps|plugins|test|scripts)/', pathNot: '^apps/simulator/' },
    },
    {
      name: 'arrow-upward-from-plugin',
      comment: 'A plugin uses the published libraries and its own files.',
      severity: 'error',
      from: { path: '^plugins/([^/]+)/' },
      to: { path: '^(apps|plugins|test|scripts)/', pathNot: '^plugins/$1/' },
    },
    {
      name: 'testing-in-specs-alone',
      comment: 'libs/testing is a development dependency: what runs must not need it.',
      severity: 'error',
      from: { path: '^(apps|plugins)/', pathNot: SPEC },
      to: { path: '^libs/testing/' },
    },
    {
      name: 'inference-is-plain-rxjs',
      comment: 'libs/inference depends on rxjs alone, so that it serves outside of Nest too.',
      severity: 'error',
      from: { path: '^libs/inference/', pathNot: SPEC },
      to: { couldNotResolve: false, dependencyTypesNot: ['local', 'core'], pathNot: '(^|/)node_modules/rxjs/' },
    },
    {
      name: 'inference-without-nest',
      comment: 'The vocabulary knows no framework, not even in its specs.',
      severity: 'error',
      from: { path: '^libs/inference/' },
      to: { path: '(^|/)node_modules/@nestjs/|^@nestjs/' },
    },
    {
      name: 'behind-index-from-library',
      comment: "A library's face is its index.ts.",
      severity: 'error',
      from: { path: '^libs/([^/]+)/' },
      to: { path: '^libs/[^/]+/', pathNot: ['^libs/$1/', '^libs/[^/]+/src/index\\.ts$'] },
    },
    {
      name: 'behind-index',
      comment: "A library's face is its index.ts.",
      severity: 'error',
      from: { path: '^(apps|plugins|test|scripts)/' },
      to: { path: '^libs/[^/]+/', pathNot: '^libs/[^/]+/src/index\\.ts$' },
    },
    {
      name: 'library-by-path',
      comment: 'Another room is imported by its package name, never by a relative path.',
      severity: 'error',
      from: { path: '^(libs|apps|plugins|test)/([^/]+)/' },
      to: {
        path: '^libs/',
        pathNot: '^$1/$2/',
        dependencyTypes: ['local'],
        dependencyTypesNot: ['aliased-workspace'],
      },
    },
    {
      name: 'undeclared-dependency',
      comment: 'What a library or a plugin imports is declared in its own package.json.',
      severity: 'error',
      from: { path: '^(libs|plugins)/', pathNot: SPEC },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'] },
    },
    { name: 'circle', severity: 'error', from: {}, to: { circular: true } },
    { name: 'unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: '(^|/)node_modules/' },
    exclude: { path: '^(libs|apps|plugins)/[^/]+/(dist|demo-model)/' },
    // Imports of types are arrows too.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.check.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['baton-source', 'import', 'node', 'default', 'types'],
      mainFields: ['module', 'main', 'types'],
      extensions: ['.ts', '.mts', '.js', '.mjs', '.cjs', '.json', '.d.ts'],
    },
  },
};
