/** `node bundle-program.mjs PROGRAM DIR`: a program's bundle in a folder, and the flags of its Node on standard output. */
import path from 'node:path';
import { build, IMAGE_PROGRAMS, PROGRAMS } from './bundle.mjs';

const [name, dir] = process.argv.slice(2);
const program = { ...PROGRAMS, ...IMAGE_PROGRAMS }[name];
if (program === undefined || dir === undefined) throw new Error(`usage: bundle-program.mjs PROGRAM DIR, not ${name}`);
await build(path.resolve(import.meta.dirname, '..'), program, dir);
process.stdout.write(JSON.stringify(program.nodeFlags));
