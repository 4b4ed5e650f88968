/**
 * Runs a script of a bundle (scripts/bundle.mjs), with the code that V8 made of it in a rehearsal where that is there:
 * a program then starts without parsing what it runs. V8 looks whether the code is its own version's and was made with
 * the flags in force, and compiles anew if not. Lies in the bundle as load.js, beside NAME.code and NAME.cache.
 */
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

/** Code that is there: undefined where no rehearsal was held, or not for this kind of processor. */
function codeOf(dir, name) {
  try {
    return fs.readFileSync(path.join(dir, `${name}.cache`));
  } catch {
    return undefined;
  }
}

exports.compile = (dir, name) => {
  const filename = path.join(dir, `${name}.code`);
  return new vm.Script(fs.readFileSync(filename, 'latin1'), { filename, cachedData: codeOf(dir, name) });
};

exports.run = (script, require, filename) => script.runInThisContext()(require, filename, path.dirname(filename));
