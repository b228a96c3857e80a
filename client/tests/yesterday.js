// Which syntax and which interfaces of the browser some code needs that older browsers lack. Syntax is esbuild's knowledge,
// interfaces are that of MDN's browser-compat-data, and TypeScript says whose member `x.at` is.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { transformSync } from 'esbuild';
import ts from 'typescript-api';

const bcd = createRequire(import.meta.url)('@mdn/browser-compat-data');

/**
 * What of a file's syntax is none of these browsers' own: the first line that esbuild has to write otherwise, or `null`.
 * @param {string} file
 * @param {Record<string, number>} browsers such as `{chrome: 92}`
 */
export function foreignSyntax(file, browsers) {
  const target = Object.entries(browsers).map(([name, version]) => `${name}${version}`);
  const code = readFileSync(file, 'utf8');
  const lines = (/** @type {string | string[]} */ target) =>
    transformSync(code, { target, format: 'esm' }).code.split('\n');
  let theirs;
  try {
    theirs = lines(target);
  } catch (error) {
    return String(error);
  }
  return lines('esnext').find((line, at) => line !== theirs[at]) ?? null;
}

/**
 * The interfaces that the code names and one of these browsers lacks: each with where it is used and who lacks it.
 * @param {string[]} files
 * @param {Record<string, number>} browsers
 * @returns {Map<string, {where: string[], lacking: string[]}>}
 */
export function missingInterfaces(files, browsers) {
  const program = ts.createProgram(files, {
    allowJs: true,
    checkJs: true,
    strict: true,
    noEmit: true,
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ['lib.esnext.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts', 'lib.dom.asynciterable.d.ts'],
    types: [],
  });
  const checker = program.getTypeChecker();
  const found = new Map();
  const look = (/** @type {ts.Node} */ node, /** @type {ts.SourceFile} */ source) => {
    if (ts.isIdentifier(node)) {
      for (const key of keysOf(symbolOf(checker, node))) {
        const lacking = whoLacks(key, browsers);
        if (lacking.length === 0) continue;
        const { line } = source.getLineAndCharacterOfPosition(node.getStart());
        const entry = found.get(key) ?? { where: [], lacking };
        entry.where.push(`${source.fileName.split('/').slice(-2).join('/')}:${line + 1}`);
        found.set(key, entry);
      }
    }
    ts.forEachChild(node, (child) => look(child, source));
  };
  for (const source of program.getSourceFiles()) if (files.includes(source.fileName)) look(source, source);
  return found;
}

/** What a name means; of `const { a } = b` the `a` of `b`. */
function symbolOf(checker, node) {
  const { parent } = node;
  if (ts.isBindingElement(parent) && parent.name === node && ts.isObjectBindingPattern(parent.parent)) {
    const name = parent.propertyName && ts.isIdentifier(parent.propertyName) ? parent.propertyName.text : node.text;
    return checker.getTypeAtLocation(parent.parent).getProperty(name);
  }
  // Of `{ a }` the value, and of `{ a: 1 }` nothing: what is handed over is a dictionary.
  if (ts.isShorthandPropertyAssignment(parent)) return checker.getShorthandAssignmentValueSymbol(parent);
  return checker.getSymbolAtLocation(node);
}

/** What TypeScript names otherwise than MDN. */
const RENAMED = {
  ReadonlyArray: 'Array',
  ReadonlyMap: 'Map',
  ReadonlySet: 'Set',
  IteratorObject: 'Iterator',
  CallableFunction: 'Function',
  NewableFunction: 'Function',
};

/** Under which names MDN may know what is declared there. */
function* keysOf(symbol) {
  for (const declaration of symbol?.declarations ?? []) {
    const file = declaration.getSourceFile().fileName;
    const isBuiltin = /\/lib\.(es|decorators)[^/]*\.d\.ts$/.test(file);
    if (!isBuiltin && !/\/lib\.dom[^/]*\.d\.ts$/.test(file)) continue;
    const root = isBuiltin ? 'javascript.builtins' : 'api';
    const name = symbol.getName();
    const owner = ownerOf(declaration);
    if (owner === null) yield ts.isInterfaceDeclaration(declaration) ? null : `${root}.${name}`;
    else if (isBuiltin) yield `${root}.${RENAMED[owner] ?? owner.replace(/Constructor$/, '')}.${name}`;
    else if (owner.isStatic) yield `${root}.${owner.name}.${name}_static`;
    else yield `${root}.${owner.name ?? owner}.${name}`;
  }
}

/** Whose member it is: the name of an interface; `null` of what is global. */
function ownerOf({ parent }) {
  if (ts.isInterfaceDeclaration(parent)) return parent.name.text;
  // `declare var X: { new(): X; member(): void }`
  if (ts.isTypeLiteralNode(parent) && ts.isVariableDeclaration(parent.parent))
    return { name: parent.parent.name.getText(), isStatic: true };
  return null;
}

/** @param {string | null} key @param {Record<string, number>} browsers */
function whoLacks(key, browsers) {
  const known = key
    ?.split('.')
    .reduce((tree, part) => (Object.hasOwn(tree ?? {}, part) ? tree[part] : undefined), bcd);
  const support = known?.__compat?.support;
  if (!support) return [];
  return Object.entries(browsers).flatMap(([name, version]) => {
    const since = sinceOf(support[name]);
    return since <= version ? [] : [`${name} ${since === Infinity ? 'has none' : since}`];
  });
}

/** The first version that has it without a prefix or a flag, if in part. */
function sinceOf(support) {
  const statements = [support].flat().filter((one) => one && !one.flags && !one.prefix && !one.alternative_name);
  const versions = statements.map(({ version_added: added }) => Number(String(added).replace('≤', '')));
  return Math.min(Infinity, ...versions.filter((version) => !Number.isNaN(version) && version > 0));
}
