// The names of the packages that make a release, all of them from package.json: its "name" is the
// only place where the name is written by hand. From it come the packages of the platforms
// (scripts/platforms.mjs), and what the loader of the addon may require, src/native/packages.cts.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { addonFile, platform, platformPackage } from './platforms.mjs';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** package.json of the main package, as it is now. */
export const mainManifest = () => JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));

export const platformsOf = (main) => main.napi.targets.map(platform);

/** The same package under a scope, such as `@acme`. */
export function scoped(main, scope) {
  if (scope === undefined) return main;
  if (!/^@[a-z0-9~-][a-z0-9._~-]*$/.test(scope)) throw new Error(`--scope must be a scope of npm such as @acme, got ${JSON.stringify(scope)}`);
  return { ...main, name: `${scope}/${main.name.replace(/^@[^/]*\//, '')}` };
}

/**
 * What src/native/packages.cts, or lib/native/packages.cjs, contains. Only packages of platforms
 * that the main package names, in "optionalDependencies", may be loaded: in a clone there are none,
 * so nobody who takes such a name on a registry gets code in here.
 */
export function loaderSource(main, { compiled = false } = {}) {
  const named = main.optionalDependencies ?? {};
  const sources = platformsOf(main)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((one) => {
      const own = platformPackage(main, one);
      return [
        `    ${quoted(one.name)}: {`,
        ...attempt('built', quoted(`../${addonFile(main, one)}`)),
        ...(Object.hasOwn(named, own)
          ? [
              `      package: ${quoted(own)},`,
              ...attempt('installed', quoted(own)),
              ...attempt('manifest', quoted(`${own}/package.json`)),
            ]
          : []),
        '    },',
      ].join('\n');
    });
  return `${compiled ? '"use strict";\n' : ''}// Made from package.json by scripts/packages.mjs, which npm run build starts. Do not edit.
${compiled ? '' : "import type { Packages } from './package-sources.cjs';\n"}
// Bundlers see what is required, since literals name it. Each require has a try of its own, so that
// they do not miss what is not there.
const packages${compiled ? '' : ': Packages'} = {
  name: ${quoted(main.name)},
  version: ${quoted(main.version)},
  addons: {
${sources.join('\n')}
  },
};
${compiled ? 'module.exports =' : 'export ='} packages;
`;
}

const quoted = (text) => `'${text}'`;

function attempt(name, literal) {
  return [
    `      ${name}: () => {`,
    '        try {',
    `          return { value: require(${literal}) };`,
    '        } catch (error) {',
    '          return { error };',
    '        }',
    '      },',
  ];
}

/** Writes src/native/packages.cts, if it is not what it should be. */
export function writeLoaderSource() {
  const file = path.join(root, 'src/native/packages.cts');
  const text = loaderSource(mainManifest());
  let old;
  try {
    old = readFileSync(file, 'utf8').replaceAll('\r\n', '\n');
  } catch {
    // It is not there yet.
  }
  if (old !== text) writeFileSync(file, text);
}
