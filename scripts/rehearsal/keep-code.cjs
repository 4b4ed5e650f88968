/** load-bundle.cjs as a rehearsal has it: when a thread ends, the code of all that ran in it is kept. */
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { compile, run } = require('./load-as-ever.js');

// V8 takes code only where the flags are those it was made with, and when a program is loaded it has set none yet.
require('node:v8').setFlagsFromString = () => {};

exports.compile = (dir, name) => {
  const script = compile(dir, name);
  process.on('exit', () => fs.writeFileSync(path.join(dir, `${name}.cache`), script.createCachedData()));
  return script;
};
exports.run = run;
