/**
 * Generates gen/ from the protos that @grpc/grpc-js-xds ships and our own in proto/: message types as JavaScript
 * with declarations, all sharing ONE descriptor set (a descriptor in every file costs 440 ms and 20 MB at start).
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const here = import.meta.dirname;
const shipped = path.join(
  path.dirname(createRequire(import.meta.url).resolve('@grpc/grpc-js-xds/package.json')),
  'deps',
);
const searchPath = [
  path.join(here, 'proto'),
  ...['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((d) => path.join(shipped, d)),
];

/** The rule messages of protoc-gen-validate that carry `ignore_empty`, with its field number; the rest use 8. */
const ignoreEmptyNumber: Readonly<Record<string, number>> = { String: 26, Bytes: 14, Repeated: 5, Map: 6 };
const withoutIgnoreEmpty = new Set(['Field', 'Bool', 'Enum', 'Message', 'Any', 'Duration', 'Timestamp']);

function write(file: string, text: string): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
}

function roots(): string[] {
  const own = fs
    .readdirSync(path.join(here, 'proto'), { recursive: true, encoding: 'utf8' })
    .filter((f) => f.endsWith('.proto'));
  return [...own, ...fs.readFileSync(path.join(here, 'roots.txt'), 'utf8').split(/\s+/).filter(Boolean)];
}

/** Fields of Envoy 1.40 that the shipped protos are too old for: behind which line of which message they belong. */
const newerFields: Readonly<Record<string, readonly { readonly behind: RegExp; readonly field: string }[]>> = {
  'envoy/config/core/v3/protocol.proto': [
    {
      behind: /^message HttpProtocolOptions \{[\s\S]*?UInt32Value max_requests_per_connection = 6;/m,
      field: 'google.protobuf.UInt32Value max_response_headers_kb = 7 [(validate.rules).uint32 = {lte: 8192 gt: 0}];',
    },
  ],
};

function withNewerFields(name: string, text: string): string {
  let whole = text;
  for (const { behind, field } of newerFields[name] ?? []) {
    const { length } = whole;
    whole = whole.replace(behind, (found) => `${found}\n  ${field}\n`);
    if (whole.length === length) throw new Error(`${name}: the place of '${field}' is not there; is the field now?`);
  }
  return whole;
}

function readProto(name: string): string {
  const source = searchPath.map((d) => path.join(d, name)).find((p) => fs.existsSync(p));
  if (source === undefined) throw new Error(`${name}: neither in lib/xds/proto nor in @grpc/grpc-js-xds`);
  const text = withNewerFields(name, fs.readFileSync(source, 'utf8'));
  if (name !== 'validate/validate.proto' || text.includes('ignore_empty')) return text;
  // The shipped validate.proto is older than the ignore_empty that the shipped Envoy protos use.
  return text.replace(/^message (\w+)Rules \{/gm, (line, kind: string) =>
    withoutIgnoreEmpty.has(kind) ? line : `${line}\n    optional bool ignore_empty = ${ignoreEmptyNumber[kind] ?? 8};`,
  );
}

/** Copies the import closure of the roots to build/proto and returns its size. */
function stage(): number {
  const todo = roots();
  const seen = new Set<string>();
  for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
    if (seen.has(name) || name.startsWith('google/protobuf/')) continue;
    seen.add(name);
    const text = readProto(name);
    for (const m of text.matchAll(/^\s*import\s+(?:public\s+|weak\s+)?"([^"]+)"/gm)) todo.push(m[1] ?? '');
    write(path.join(here, 'build/proto', name), text);
  }
  return seen.size;
}

function buf(...args: string[]): void {
  const env = {
    ...process.env,
    PATH: `${path.join(here, 'node_modules/.bin')}:${process.env['PATH']}`,
    BUF_CACHE_DIR: path.join(here, 'build/cache'),
  };
  execFileSync('buf', args, { cwd: here, env, stdio: 'inherit' });
}

/** Replaces a file's embedded descriptor by a look-up in the shared set. */
function lean(file: string, code: string): string {
  let hits = 0;
  const registry = path.relative(path.dirname(file), '../src/registry.ts');
  const out = code
    .replace(/fileDesc\("[^"]*"(?:, \[[^\]]*\])?\)/, () => {
      hits++;
      return `fileOf("${file.slice(0, -'_pb.js'.length)}.proto")`;
    })
    .replace(/^import \{ file_[^}]*\} from "[^"]*";\n/gm, '')
    .replace(/^import \{ ([^}]*) \} from "@bufbuild\/protobuf\/codegenv2";\n/m, (_, names: string) => {
      const keep = names.split(', ').filter((n) => n !== 'fileDesc');
      const rest = keep.length > 0 ? `import { ${keep.join(', ')} } from "@bufbuild/protobuf/codegenv2";\n` : '';
      return `import { fileOf } from "${registry}";\n${rest}`;
    });
  if (hits !== 1) throw new Error(`${file}: the output of protoc-gen-es changed its shape; adapt lean()`);
  return out;
}

const setJs = `export const descriptorSet = new URL("./xds.binpb", import.meta.url);
`;
const setDts = `/** The file with all descriptors: a FileDescriptorSet. */
export declare const descriptorSet: URL;
`;

fs.rmSync(path.join(here, 'build'), { recursive: true, force: true });
const count = stage();
buf('generate');
buf('build', 'build/proto', '--exclude-source-info', '--as-file-descriptor-set', '-o', 'build/xds.binpb');
const es = path.join(here, 'build/es');
const gen = path.join(here, 'gen');
fs.rmSync(gen, { recursive: true, force: true });
for (const file of fs.readdirSync(es, { recursive: true, encoding: 'utf8' })) {
  if (!/\.(js|d\.ts)$/.test(file)) continue;
  const code = fs.readFileSync(path.join(es, file), 'utf8');
  write(path.join(gen, file), file.endsWith('.js') ? lean(file, code) : code);
}
fs.copyFileSync(path.join(here, 'build/xds.binpb'), path.join(gen, 'xds.binpb'));
write(path.join(gen, 'set.js'), setJs);
write(path.join(gen, 'set.d.ts'), setDts);
console.log(`lib/xds: types generated from ${count} protos`);
