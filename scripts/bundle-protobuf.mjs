/**
 * What a bundle changes in protobuf-es, so that an agent pays for the messages of its configuration and not for all of
 * Envoy's: the library compiles a reader with those of every message that can be reached from it, and reads descriptors
 * with descriptors of descriptors. Each change names what it expects of the library, and a build fails when that is gone.
 */
import fs from 'node:fs';
import path from 'node:path';

const protobuf =
  /@bufbuild\/protobuf\/dist\/esm\/(?:codegenv2\/)?(file|create|from-json|to-json|from-binary|to-binary)\.js$/;

/** How many readers or writers of a field's message each file looks up. */
const lookUps = { 'from-json': 3, 'to-json': 1, 'from-binary': 2, 'to-binary': 2 };
const lookUp = /const (\w+) = (compiled(?:Reader|Writer)\(field\.message\))(\.read)?;/g;

/** The reader of a field's message is made when a value of it comes. */
function whenUsed(name, code) {
  let found = 0;
  const changed = code.replace(lookUp, (_, variable, compiled, read = '') => {
    found++;
    const call = (of) => `(...args) => (${variable}Made ??= ${compiled})${of}(...args)`;
    // Two ways of one reader: with a length in front, and in a group.
    const isPair = name === 'from-binary' && read === '';
    const whole = isPair ? `{ read: ${call('.read')}, readGroup: ${call('.readGroup')} }` : call(read);
    return `let ${variable}Made; const ${variable} = ${whole};`;
  });
  if (found !== lookUps[name])
    throw new Error(`protobuf-es: ${name}.js has changed; adapt scripts/bundle-protobuf.mjs`);
  return changed;
}

/** Whether and how an initial value of a field is converted is asked when there is one: it takes the field's message. */
function convertsWhatIsGiven(code) {
  const head = 'function compileConvertMessage(field) {';
  if (code.split(head).length !== 2)
    throw new Error('protobuf-es: create.js has changed; adapt scripts/bundle-protobuf.mjs');
  return code.replace(
    head,
    `function compileConvertMessage(field) {
      let made;
      return (value) => {
        made ??= { convert: conversionOf(field) };
        return made.convert === undefined ? value : made.convert(value);
      };
    }
    function conversionOf(field) {`,
  );
}

const changes = { create: (_, code) => convertsWhatIsGiven(code) };

export const readsWhatIsUsed = (root) => ({
  name: 'protobuf',
  setup(build) {
    build.onLoad({ filter: protobuf }, ({ path: file }) => {
      const name = path.basename(file, '.js');
      if (name !== 'file') return { contents: (changes[name] ?? whenUsed)(name, fs.readFileSync(file, 'utf8')) };
      const own = path.join(root, 'lib/xds/src/descriptors/embedded-file.ts');
      return { contents: `export { fileDesc } from ${JSON.stringify(own)}`, resolveDir: root };
    });
  },
});
