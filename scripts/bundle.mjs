/**
 * One bundle per program, made at setup with esbuild: loading some hundred modules and the TypeScript stripper costs
 * an agent 60 MB and most of its start time. The agent's is one script for each kind of thread, with the code that V8
 * made of it in a rehearsal (ADR 0045). launch.cjs takes a bundle only while every source it was made of is as
 * it was, so an edit takes effect at the next start with no command; setup brings the bundle up to date again.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { builtinModules, createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import manifests from './bundle-manifest.cjs';
import { readsWhatIsUsed } from './bundle-protobuf.mjs';

const { bundleHome, changedInputs, describeInput, readManifest } = manifests;

/** Folders of earlier bundles are left for agents that still run from them. */
const keepMs = 24 * 3600 * 1000;
const attempts = 3;

/** A package with the folder that depends on it, or a module of ours. */
const lateXds = { yaml: 'lib/xds', 'late-protobuf': 'lib/xds/src/late-protobuf.ts' };

/** What a program's bundle is made of: its entries, files they read beside themselves, and what loads late. */
export const PROGRAMS = {
  'chainmail-agent': {
    entries: { main: 'agent/src/main.ts', 'worker-entry': 'agent/src/worker/worker-entry.ts' },
    assets: ['lib/xds/gen/xds.binpb'],
    late: { re2js: 'agent', ...lateXds },
    scripts: true,
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
      late: lateXds,
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
      const contents = text.replace(
        /(createRequire\(import\.meta\.url\)\()'(?:\.\/)?([^'.]+)(?:\.ts)?'\)/g,
        (_, call, name) => {
          if (!names.includes(name)) throw new Error(`${file}: ${name} loads late; name it in scripts/bundle.mjs`);
          return `${call}'./${name}.cjs')`;
        },
      );
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

/** Modules that share what they have in common. */
async function buildModules(esbuild, options, program, outdir) {
  const split = { format: 'esm', splitting: true, entryPoints: program.entries, outdir };
  const { metafile } = await esbuild.build({ ...options, ...split });
  fs.writeFileSync(path.join(outdir, 'package.json'), '{"type":"module"}\n');
  return Object.keys(metafile.inputs);
}

/** A function of what Node gives every module, so that V8 takes it as one piece. */
const script = {
  format: 'cjs',
  define: { 'import.meta.url': '__bundleUrl', 'import.meta.dirname': '__dirname' },
  banner: {
    js: '(function(require,__filename,__dirname){"use strict";const module={},__bundleUrl=require("node:url").pathToFileURL(__filename).href;',
  },
  footer: { js: '})' },
};

/**
 * One script for each entry: what modules export is a cell for each name, and what lies in one scope V8 knows better (gRPC
 * over two hops, rich, 0.9 of the processor time). Code that V8 has made can be given to it with a script.
 */
async function buildScripts(esbuild, options, program, outdir) {
  const inputs = [];
  for (const [name, entry] of Object.entries(program.entries)) {
    const outfile = path.join(outdir, `${name}.code`);
    const { metafile } = await esbuild.build({ ...options, ...script, entryPoints: [entry], outfile });
    inputs.push(...Object.keys(metafile.inputs));
    const runs = `const{compile,run}=require('./load.js');run(compile(__dirname,'${name}'),require,__filename)\n`;
    fs.writeFileSync(path.join(outdir, `${name}.js`), runs);
  }
  fs.copyFileSync(path.join(import.meta.dirname, 'load-bundle.cjs'), path.join(outdir, 'load.js'));
  fs.writeFileSync(path.join(outdir, 'package.json'), '{"type":"commonjs"}\n');
  const rehearsal = fs
    .readdirSync(path.join(options.absWorkingDir, 'scripts/rehearsal'))
    .map((f) => `scripts/rehearsal/${f}`);
  return [...new Set(inputs), 'scripts/load-bundle.cjs', ...rehearsal];
}

/** Returns the files it was made of. */
export async function build(root, program, outdir) {
  const esbuild = createRequire(path.join(root, 'package.json'))('esbuild');
  const plugins = [builtins, latePackages(Object.keys(program.late)), readsWhatIsUsed(root)];
  const options = { ...common, absWorkingDir: root, plugins };
  const inputs = await (program.scripts ? buildScripts : buildModules)(esbuild, options, program, outdir);
  for (const [name, from] of Object.entries(program.late)) {
    const own = from.endsWith('.ts');
    const entry = own ? path.join(root, from) : createRequire(path.join(root, from, 'package.json')).resolve(name);
    const outfile = path.join(outdir, `${name}.cjs`);
    const { metafile } = await esbuild.build({ ...options, entryPoints: [entry], outfile, format: 'cjs' });
    if (own) inputs.push(...Object.keys(metafile.inputs));
  }
  for (const asset of program.assets) {
    fs.copyFileSync(path.join(root, asset), path.join(outdir, path.basename(asset)));
  }
  return [
    ...inputs.filter((f) => !f.includes('node_modules/') && fs.existsSync(path.join(root, f))),
    ...program.assets,
    'scripts/bundle.mjs',
    'scripts/bundle-protobuf.mjs',
    'pnpm-lock.yaml',
  ];
}

/**
 * Leaves the code of a rehearsal in a bundle. node: the one that will run it; code is no other's. Without it the program
 * runs as well, and starts slower.
 */
export async function rehearse(root, program, outdir, node) {
  const main = path.join(root, 'scripts/rehearsal/main.ts');
  await promisify(execFile)(node, ['--no-warnings', main, outdir, ...program.nodeFlags]);
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
 * its sources then. Hears from `lacks` when there could be no rehearsal.
 */
export async function bundle(root, name, node, { begins, lacks }) {
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
    if (program.scripts) await rehearse(root, program, path.join(home, dir), node).catch(lacks);
    writeManifest(home, name, { dir, inputs });
    removeOld(home, name, dir);
    return path.join(home, dir);
  }
}
