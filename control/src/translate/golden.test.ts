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
