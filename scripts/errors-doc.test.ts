/** docs/errors.md lists every code a user can meet, and none that is gone. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';

const root = path.resolve(import.meta.dirname, '..');

function sources(dir: string): string[] {
  return fs.readdirSync(path.join(root, dir), { withFileTypes: true }).flatMap((e) => {
    const name = path.join(dir, e.name);
    if (e.isDirectory()) return /^(node_modules|gen|build|testing|dist)$/.test(e.name) ? [] : sources(name);
    return /\.ts$/.test(e.name) && !/\.test\.ts$/.test(e.name) ? [name] : [];
  });
}

/** Codes as they are thrown: the first argument of UserError, without the example in its own docstring. */
function thrownCodes(): Set<string> {
  const files = ['agent', 'control', 'injector', 'certs', 'cli', 'manifests', 'lib'].flatMap(sources);
  const codes = files.flatMap((file) => {
    const text = fs.readFileSync(path.join(root, file), 'utf8').replace(/^\s*(?:\/\*\*|\*).*$/gm, '');
    return [...text.matchAll(/\bUserError\(\s*'([A-Z][A-Z0-9_]+)'/g)].map((m) => m[1] ?? '');
  });
  return new Set(codes);
}

test('every error code is documented, and every documented code exists', (t) => {
  const doc = fs.readFileSync(path.join(root, 'docs/errors.md'), 'utf8');
  const documented = new Set([...doc.matchAll(/^\| `([A-Z][A-Z0-9_]+)` \|/gm)].map((m) => m[1] ?? ''));
  const thrown = thrownCodes();
  t.true(thrown.size > 20, 'the search finds the codes');
  t.deepEqual([...thrown].filter((c) => !documented.has(c)).sort(), [], 'thrown, not in docs/errors.md');
  t.deepEqual([...documented].filter((c) => !thrown.has(c)).sort(), [], 'in docs/errors.md, never thrown');
});
