/**
 * Whether a bundle is what its sources are now. A file with the size and times it had then is the same file; one
 * with other times (a clone that was copied, a branch switched to and fro) is compared by content.
 * CommonJS, as launch.cjs is: importing a built-in module evaluates its lazy exports, requiring it does not.
 */
const fs = require('node:fs');
const path = require('node:path');

const bundleHome = (root) => path.join(root, 'node_modules', '.chainmail', 'bundle');

/** { dir, inputs: [path, size, mtimeMs, ctimeMs, sha256][] } or null when there is none. */
function readManifest(root, name) {
  try {
    const manifest = JSON.parse(fs.readFileSync(path.join(bundleHome(root), `${name}.json`), 'utf8'));
    return fs.existsSync(path.join(bundleHome(root), manifest.dir)) ? manifest : null;
  } catch {
    return null;
  }
}

const sha256 = (file) => require('node:crypto').createHash('sha256').update(fs.readFileSync(file)).digest('hex');

function describeInput(root, file) {
  const full = path.join(root, file);
  const { size, mtimeMs, ctimeMs } = fs.statSync(full);
  return [file, size, mtimeMs, ctimeMs, sha256(full)];
}

/** Files whose size or times differ; `same` says that the content does not. */
function changedInputs(root, { inputs }) {
  return inputs.flatMap(([file, size, mtimeMs, ctimeMs, hash]) => {
    const full = `${root}/${file}`; // some hundred at every start: path.join would be a third of it
    const now = fs.statSync(full, { throwIfNoEntry: false });
    if (now === undefined) return [{ file, same: false }];
    if (now.size === size && now.mtimeMs === mtimeMs && now.ctimeMs === ctimeMs) return [];
    return [{ file, same: now.size === size && sha256(full) === hash }];
  });
}

module.exports = { bundleHome, readManifest, describeInput, changedInputs };
