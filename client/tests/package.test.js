// What `npm pack` makes: it has all that the SDK needs and no tests, and an application in TypeScript is checked against its
// types.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';

const CLIENT = resolve(import.meta.dirname, '..');
const MODULES = join(CLIENT, 'node_modules');

let folder;
let installed;
let files;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'strait-package-'));
  const modules = join(folder, 'node_modules');
  mkdirSync(join(modules, '@types'), { recursive: true });
  const packed = execFileSync('npm', ['pack', '--json', '--loglevel=error', '--pack-destination', folder], {
    cwd: CLIENT,
  });
  // Before the list there is what the script of the package says.
  const [{ filename, files: list }] = JSON.parse(String(packed).slice(String(packed).indexOf('[\n')));
  files = list.map(({ path }) => path);
  installed = join(modules, 'strait-client');
  mkdirSync(installed);
  execFileSync('tar', [
    '--extract',
    '--strip-components=1',
    '--file',
    join(folder, filename),
    '--directory',
    installed,
  ]);
});

after(() => rmSync(folder, { recursive: true }));

test('the package has what its exports name, the licences, and no tests', () => {
  const { exports } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  const named = Object.values(exports).flatMap((entry) =>
    typeof entry === 'string' ? [entry] : Object.values(entry),
  );
  for (const name of [...named, 'LICENSE-MIT', 'LICENSE-APACHE', 'README.md'])
    assert.ok(existsSync(join(installed, name)), `${name} is not in the package`);
  assert.deepEqual(
    files.filter((name) => /test|^app\/|tsconfig|node_modules/.test(name)),
    [],
  );
});

test('each file that the code needs at run time is there, the audio thread’s as well', () => {
  const code = files.filter((name) => name.endsWith('.js'));
  const needed = code.flatMap((name) => {
    const text = readFileSync(join(installed, name), 'utf8');
    const paths = [...text.matchAll(/(?:^(?:import|export) .*?from|new URL\() ?'(\.[^']+)'/gm)];
    return paths.map(([, path]) => join(dirname(name), path));
  });
  assert.ok(needed.includes('sdk/voice-gate-worklet.js'));
  assert.deepEqual(
    needed.filter((name) => !files.includes(name)),
    [],
  );
});

test('what runs in the audio thread imports nothing, because bundlers take it as it is', () => {
  const worklets = files.filter((name) => name.endsWith('-worklet.js'));
  assert.equal(worklets.length, 1);
  for (const name of worklets) assert.doesNotMatch(readFileSync(join(installed, name), 'utf8'), /^\s*import\b/m);
});

test('an application in strict TypeScript is right about the types, which are whole', () => {
  const include = ['consumer.ts', 'consumer-react.tsx'];
  for (const name of include) copyFileSync(join(import.meta.dirname, name), join(folder, name));
  for (const name of ['@types/react', 'csstype'])
    symlinkSync(join(MODULES, name), join(folder, 'node_modules', name));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  const options = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    // The declarations of the package are checked as well.
    skipLibCheck: false,
    noEmit: true,
    target: 'ES2022',
    module: 'NodeNext',
    jsx: 'react-jsx',
    lib: ['ES2022', 'DOM', 'DOM.Iterable'],
    types: [],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include }));
  const run = () => execFileSync(join(MODULES, '.bin/tsc'), ['-p', folder], { encoding: 'utf8' });
  assert.doesNotThrow(run, (error) => assert.fail(error.stdout));
});
