/**
 * One bundle per program, made at setup with esbuild: loading some hundred modules and the TypeScript stripper costs
 * an agent 60 MB and most of its start time. launch.cjs takes a bundle only while every source it was made of is as
 * it was, so an edit takes effect at the next start with no command; setup brings the bundle up to date again.
 */
import fs from 'node:fs';
import { builtinModules, createRequire } from 'node:module';
import path from 'node:path';
import manifests from './bundle-manifest.cjs';

const { bundleHome, changedInputs, describeInput, readManifest } = manifests;

/** Folders of earlier bundles are left for agents that still run from them. */
const keepMs = 24 * 3600 * 1000;
const attempts = 3;

/** What a program's bundle is made of: its entries, files they read beside themselves, and what loads late. */
export const PROGRAMS = {
  'chainmail-agent': {
    entries: { main: 'agent/src/main.ts', 'worker-entry': 'agent/src/worker/worker-entry.ts' },
    assets: ['lib/xds/gen/xds.binpb'],
    late: { re2js: 'agent', yaml: 'lib/xds' },
    // A small young generation is enough for configuration, and every collection gives pages back. No flag that V8
    // makes part of its code cache's key: with one, Node compiles its own modules at every start, 30 ms and 1 MB of it.
    // The agent sets such flags once it has started. It names the anchors of every TLS connection, so that those that Node
    // has built in need not be read; it reads them as soon as node:tls is loaded, 1 MB, unless told to take OpenSSL's.
    nodeFlags: ['--no-warnings', '--max-semi-space-size=1', '--v8-pool-size=1', '--use-openssl-ca'],
  },
};

/** Those that run from their sources here and from a bundle in an image. */
export const IMAGE_PROGRAMS = Object.fromEntries(
  Object.entries({ control: 'control', ca: 'certs', injector: 'injector' }).map(([name, folder]) => [
    `chainmail-${name}`,
    {
      entries: { main: `${folder}/src/main.ts` },
      assets: ['lib/xds/gen/xds.binpb'],
      late: { yaml: 'lib/xds' },
      nodeFlags: ['--no-warnings'],
    },
  ]),
);

/**
 * Modules of Node that are plain objects of functions. esbuild makes a getter for each own property of a module in every
 * file that imports it, thousands of them in an agent, 1 MB with their shapes; properties of a prototype it leaves there.
 */
const plainObjects = new Set(
  ['child_process', 'crypto', 'dgram', 'fs', 'http', 'https', 'net', 'os', 'path', 'tls', 'url', 'util'].map(
    (name) => `node:${name}`,
  ),
);

/**
 * `import http from 'node:http'` reads every export, and the WebSocket getter among them loads an HTTP client: 6 MB.
 * Properties of the module object are read when they are used.
 */
const builtins = {
  name: 'builtins',
  setup(build) {
    const names = new RegExp(`^(node:.*|${builtinModules.filter((m) => /^[a-z_/0-9]+$/.test(m)).join('|')})$`);
    build.onResolve({ filter: names }, ({ path: name }) => ({
      path: name.startsWith('node:') ? name : `node:${name}`,
      namespace: 'builtin',
    }));
    build.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path: name }) => {
      const module = `process.getBuiltinModule(${JSON.stringify(name)})`;
      return { contents: `module.exports = ${plainObjects.has(name) ? `Object.create(${module})` : module}` };
    });
  },
};

/** `createRequire(import.meta.url)('x')` loads late on purpose: from a file of its own beside the bundle. */
const latePackages = (names) => ({
  name: 'late',
  setup(build) {
    build.onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path: file }) => {
      const text = fs.readFileSync(file, 'utf8');
      const contents = text.replace(/(createRequire\(import\.meta\.url\)\()'([^'.]+)'\)/g, (_, call, name) => {
        if (!names.includes(name)) throw new Error(`${file}: ${name} loads late; name it in scripts/bundle.mjs`);
        return `${call}'./${name}.cjs')`;
      });
      return { contents, loader: 'ts' };
    });
  },
});

const common = {
  bundle: true,
  platform: 'node',
  target: 'node26',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  logLevel: 'silent',
  metafile: true,
};

/** Returns the files it was made of. */
export async function build(root, program, outdir) {
  const esbuild = createRequire(path.join(root, 'package.json'))('esbuild');
  const { metafile } = await esbuild.build({
    ...common,
    absWorkingDir: root,
    entryPoints: program.entries,
    outdir,
    format: 'esm',
    splitting: true,
    plugins: [builtins, latePackages(Object.keys(program.late))],
  });
  for (const [name, from] of Object.entries(program.late)) {
    const entry = createRequire(path.join(root, from, 'package.json')).resolve(name);
    await esbuild.build({ ...common, entryPoints: [entry], outfile: path.join(outdir, `${name}.cjs`), format: 'cjs' });
  }
  for (const asset of program.assets) {
    fs.copyFileSync(path.join(root, asset), path.join(outdir, path.basename(asset)));
  }
  fs.writeFileSync(path.join(outdir, 'package.json'), '{"type":"module"}\n');
  return [
    ...Object.keys(metafile.inputs).filter((f) => !f.includes('node_modules/') && fs.existsSync(path.join(root, f))),
    ...program.assets,
    'scripts/bundle.mjs',
    'pnpm-lock.yaml',
  ];
}

function writeManifest(home, name, manifest) {
  const file = path.join(home, `${name}.json`);
  fs.writeFileSync(`${file}.${process.pid}`, JSON.stringify(manifest));
  fs.renameSync(`${file}.${process.pid}`, file);
}

function removeOld(home, name, keep) {
  for (const dir of fs.readdirSync(home)) {
    if (!dir.startsWith(`${name}-`) || dir === keep) continue;
    const full = path.join(home, dir);
    if (Date.now() - fs.statSync(full).mtimeMs > keepMs) fs.rmSync(full, { recursive: true, force: true });
  }
}

/**
 * Makes the bundle of a program when its sources changed. Returns its folder when it is new, null when there was
 * nothing to do; says so through `begins` before the seconds it takes. Throws what esbuild says; the program runs from
 * its sources then.
 */
export async function bundle(root, name, begins = () => {}) {
  const program = PROGRAMS[name];
  const home = bundleHome(root);
  const old = readManifest(root, name);
  if (old !== null) {
    const changed = changedInputs(root, old);
    if (changed.length === 0) return null;
    if (changed.every((c) => c.same)) {
      writeManifest(home, name, { ...old, inputs: old.inputs.map(([file]) => describeInput(root, file)) });
      return null;
    }
  }
  begins();
  for (let attempt = 1; ; attempt++) {
    const dir = `${name}-${Date.now().toString(36)}`;
    const begun = Date.now();
    const inputs = (await build(root, program, path.join(home, dir))).map((f) => describeInput(root, f));
    // A source that was saved while it was being read may be in the bundle as it was before.
    if (inputs.some(([, , mtimeMs]) => mtimeMs >= begun) && attempt < attempts) continue;
    if (inputs.some(([, , mtimeMs]) => mtimeMs >= begun)) throw new Error('the sources keep changing');
    writeManifest(home, name, { dir, inputs });
    removeOld(home, name, dir);
    return path.join(home, dir);
  }
}
