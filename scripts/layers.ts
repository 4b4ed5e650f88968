/** The layering of docs/architecture.md, held against the imports of every source file, and the search for cycles. */
import fs from 'node:fs';
import path from 'node:path';

/** Package folder -> the workspace packages it may import. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  'lib/runtime': [],
  'lib/pki': ['@chainmail/runtime'],
  'lib/xds': ['@chainmail/runtime', '@chainmail/pki'],
  'lib/kube': ['@chainmail/runtime', '@chainmail/pki', '@chainmail/xds'],
  'lib/local': ['@chainmail/runtime', '@chainmail/kube'],
  agent: ['@chainmail/runtime', '@chainmail/pki', '@chainmail/xds'],
  control: ['@chainmail/runtime', '@chainmail/pki', '@chainmail/xds', '@chainmail/kube'],
  injector: ['@chainmail/runtime', '@chainmail/pki', '@chainmail/xds', '@chainmail/kube'],
  certs: ['@chainmail/runtime', '@chainmail/pki', '@chainmail/xds', '@chainmail/kube'],
  images: ['@chainmail/runtime'],
  manifests: ['@chainmail/runtime', '@chainmail/kube'],
  cli: [
    '@chainmail/runtime',
    '@chainmail/pki',
    '@chainmail/kube',
    '@chainmail/injector',
    '@chainmail/manifests',
    '@chainmail/local',
  ],
  test: [
    '@chainmail/runtime',
    '@chainmail/pki',
    '@chainmail/xds',
    '@chainmail/kube',
    '@chainmail/local',
    '@chainmail/images',
  ],
};

/** Modules that only one folder may touch, with what to use instead. */
const reserved: readonly { readonly module: string; readonly folder: string; readonly instead: string }[] = [
  { module: 'node:ffi', folder: 'agent/src/sys/', instead: 'call the functions that agent/src/sys exports' },
];

interface Import {
  readonly file: string;
  readonly line: number;
  readonly to: string;
  readonly typeOnly: boolean;
}

function sources(root: string, dir: string): string[] {
  return fs.readdirSync(path.join(root, dir), { withFileTypes: true }).flatMap((e) => {
    const name = path.posix.join(dir, e.name);
    if (e.isDirectory()) return /^(node_modules|gen|build|dist)$/.test(e.name) ? [] : sources(root, name);
    return e.name.endsWith('.ts') ? [name] : [];
  });
}

function importsOf(root: string, file: string): Import[] {
  const text = fs.readFileSync(path.join(root, file), 'utf8');
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s+(type\s)?[^;'"`]*?from\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)import\s+['"]([^'"]+)['"]/g;
  return [...text.matchAll(pattern)].map((m) => ({
    file,
    line: text.slice(0, (m.index ?? 0) + 1).split('\n').length,
    to: m[2] ?? m[3] ?? m[4] ?? '',
    typeOnly: m[1] !== undefined || m[3] !== undefined,
  }));
}

function layerErrors(dir: string, i: Import): string[] {
  const at = `${i.file}:${i.line}`;
  const bad: string[] = [];
  for (const r of reserved) {
    if (i.to === r.module && !i.file.startsWith(r.folder))
      bad.push(`${at}: ${r.module} outside ${r.folder}; ${r.instead}`);
  }
  if (i.to.startsWith('@chainmail/') || i.to === 'meshctl') {
    const [, name] = i.to.split('/');
    const pkg = `@chainmail/${name}`;
    const own = dir === `lib/${name}` || dir === name;
    if (!own && !(mayImport[dir] ?? []).includes(pkg))
      bad.push(`${at}: ${dir} may not import ${pkg}; see docs/architecture.md`);
  }
  if (i.to.startsWith('.')) {
    const target = path.posix.normalize(path.posix.join(path.posix.dirname(i.file), i.to));
    if (!target.startsWith(`${dir}/`))
      bad.push(`${at}: reaches out of its package into ${target}; import its public entry`);
  }
  return bad;
}

/** Import cycles among the files, type-only imports left out since they vanish at run time. */
function cycles(imports: readonly Import[]): string[] {
  const edges = new Map<string, string[]>();
  for (const i of imports) {
    if (i.typeOnly || !i.to.startsWith('.')) continue;
    const target = path.posix.normalize(path.posix.join(path.posix.dirname(i.file), i.to));
    edges.set(i.file, [...(edges.get(i.file) ?? []), target]);
  }
  const state = new Map<string, 'open' | 'done'>();
  const found: string[] = [];
  const visit = (file: string, trail: readonly string[]): void => {
    if (state.get(file) === 'done') return;
    if (state.get(file) === 'open') {
      found.push(`import cycle: ${[...trail.slice(trail.indexOf(file)), file].join(' -> ')}`);
      return;
    }
    state.set(file, 'open');
    for (const next of edges.get(file) ?? []) visit(next, [...trail, file]);
    state.set(file, 'done');
  };
  for (const file of edges.keys()) visit(file, []);
  return found;
}

/** Prints every violation; true when there is none. */
export function checkLayers(root: string): boolean {
  const all: Import[] = [];
  const errors: string[] = [];
  for (const dir of Object.keys(mayImport)) {
    for (const file of sources(root, dir)) {
      const imports = importsOf(root, file);
      all.push(...imports);
      errors.push(...imports.flatMap((i) => layerErrors(dir, i)));
    }
  }
  errors.push(...cycles(all));
  for (const e of errors) console.log(e);
  console.log(`${errors.length === 0 ? 'ok    ' : 'FAILED'} layering and cycles: ${all.length} imports`);
  return errors.length === 0;
}
