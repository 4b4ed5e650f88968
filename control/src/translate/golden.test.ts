/**
 * Every `testdata/NAME.yaml` is translated for the pod that its first line names (`# agent: namespace/name`) and held
 * against `NAME.golden.yaml`. UPDATE_GOLDEN=1 writes them anew: read the difference before you commit it.
 */
import fs from 'node:fs';
import path from 'node:path';
import { validateMessage } from '@chainmail/xds';
import test from 'ava';
import { stringify } from 'yaml';
import { buildWorld } from '../model/build-world.ts';
import type { Http2Use } from '../model/http2-use.ts';
import { schemas } from '../snapshot/piece.ts';
import { piecesFor, renderFor } from '../testing/render.ts';
import { objectsOf } from '../testing/world-files.ts';

const dir = path.join(import.meta.dirname, 'testdata');
const inputs = fs.readdirSync(dir).filter((f) => f.endsWith('.yaml') && !f.endsWith('.golden.yaml'));

/** Long parts that repeat become YAML aliases, so that a golden file shows what differs. */
function shareRepeated(value: unknown, seen: Map<string, unknown>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const inner = Array.isArray(value)
    ? value.map((v) => shareRepeated(v, seen))
    : Object.fromEntries(Object.entries(value).map(([k, v]) => [k, shareRepeated(v, seen)]));
  const text = JSON.stringify(inner);
  if (text.length < 150) return inner;
  const held = seen.get(text);
  if (held === undefined) seen.set(text, inner);
  return held ?? inner;
}

for (const input of inputs) {
  test(`golden: ${input}`, (t) => {
    const text = fs.readFileSync(path.join(dir, input), 'utf8');
    const agent = /^# agent: (\S+)/.exec(text)?.[1] ?? '';
    const world = buildWorld('cluster.local', objectsOf(text));
    for (const piece of piecesFor(world, agent)) t.deepEqual(validateMessage(schemas[piece.type], piece.make()), []);
    const rendered = stringify(shareRepeated(renderFor(world, agent), new Map()), { lineWidth: 0 });
    const file = path.join(dir, input.replace('.yaml', '.golden.yaml'));
    if (process.env['UPDATE_GOLDEN'] === '1') fs.writeFileSync(file, rendered);
    t.is(rendered, fs.readFileSync(file, 'utf8'));
  });
}

test('an agent without HTTP/2 carries it as an opaque stream under mTLS, on both sides', (t) => {
  const world = buildWorld('cluster.local', objectsOf(fs.readFileSync(path.join(dir, 'protocols.yaml'), 'utf8')));
  const grpc = 'outbound|81||all.shop.svc.cluster.local';
  const pieces = (http2: Http2Use) => piecesFor(world, 'shop/all-1', http2);
  const model = (http2: Http2Use, type: string, name: string) =>
    pieces(http2).find((p) => p.type === type && p.name === name)?.model as Record<string, unknown> | undefined;
  t.is(model('declared', 'cluster', grpc)?.['protocol'], 'http2');
  t.is(model('none', 'cluster', grpc)?.['protocol'], 'tcp');
  t.is(model('declared', 'cluster', 'inbound|81')?.['protocol'], 'http2');
  t.is(model('none', 'cluster', 'inbound|81')?.['protocol'], 'tcp');
  t.is(model('none', 'cluster', 'inbound|80')?.['protocol'], 'http');
  t.is(model('none', 'route', grpc), undefined);
});

test('only agents multiplex: a real Envoy offers no HTTP/2 where a port is HTTP, and refuses ALPN beside plaintext', (t) => {
  const world = buildWorld('cluster.local', objectsOf(fs.readFileSync(path.join(dir, 'protocols.yaml'), 'utf8')));
  const text = (http2: Http2Use): string => JSON.stringify(renderFor(world, 'shop/all-1', http2));
  t.true(text('mesh').includes('auto_config') && text('mesh').includes('"alpn_protocols":["h2","http/1.1"]'));
  t.false(text('declared').includes('auto_config') || text('declared').includes('"h2"'));
});
