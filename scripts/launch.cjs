/**
 * `node launch.cjs PROGRAM ENTRY [ARGS]`: what the agent's wrapper in node_modules/.bin runs. Takes the program's
 * bundle when it is what the sources are now, and the sources otherwise. Only these have Node's compile cache, which spares
 * them the TypeScript stripper: Node keeps what it has read of it, 1 MB, and a bundle has code of its own. Both lie in
 * folders that only the owner of the clone can write: others use them and cannot put code into them.
 */
const { enableCompileCache } = require('node:module');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { bundleHome, changedInputs, readManifest } = require('./bundle-manifest.cjs');

const root = path.resolve(__dirname, '..');
const [name, entry, ...args] = process.argv.slice(2);

function freshBundle() {
  const manifest = readManifest(root, name);
  if (manifest === null || changedInputs(root, manifest).some((c) => !c.same)) return null;
  return path.join(bundleHome(root), manifest.dir);
}

const dir = freshBundle();
const main = dir === null ? path.join(root, entry) : path.join(dir, 'main.js');
if (dir === null) {
  enableCompileCache({ directory: path.join(root, 'node_modules/.chainmail/compile-cache'), portable: true });
}
process.argv = [process.execPath, main, ...args];
if (dir === null) import(pathToFileURL(main).href);
else require(main);
