/**
 * `node bundle-program.mjs PROGRAM DIR`: a program's bundle in a folder, with code for the Node that runs this where the
 * program rehearses, and the flags of its Node on standard output.
 */
import path from 'node:path';
import { build, IMAGE_PROGRAMS, PROGRAMS, rehearse } from './bundle.mjs';

const [name, dir] = process.argv.slice(2);
const program = { ...PROGRAMS, ...IMAGE_PROGRAMS }[name];
if (program === undefined || dir === undefined) throw new Error(`usage: bundle-program.mjs PROGRAM DIR, not ${name}`);
const root = path.resolve(import.meta.dirname, '..');
await build(root, program, dir);
if (program.scripts) await rehearse(root, program, path.resolve(dir), process.execPath);
process.stdout.write(JSON.stringify(program.nodeFlags));
