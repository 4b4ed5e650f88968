import { createRequire } from 'node:module';
import { BootstrapSchema } from '@chainmail/xds/proto/envoy/config/bootstrap/v3/bootstrap';
import test from 'ava';
import { messageFromText, parseConfigText, releaseYaml } from './text.ts';

test('YAML with anchors, and JSON', (t) => {
  const yaml = 'node: {id: &x a}\nstatic_resources:\n  clusters:\n  - name: *x\n';
  t.is(messageFromText(BootstrapSchema, yaml, 'f').staticResources?.clusters[0]?.name, 'a');
  t.is(messageFromText(BootstrapSchema, '{"node":{"id":"b"}}', 'f').node?.id, 'b');
  t.is(messageFromText(BootstrapSchema, '', 'f').node, undefined);
});

test('the YAML parser goes when it is let go of, and comes back with the next text', (t) => {
  const { cache } = createRequire(import.meta.url);
  const loaded = (): boolean => Object.keys(cache).some((file) => file.includes('/yaml/'));
  for (let i = 0; i < 2; i++) {
    t.deepEqual(parseConfigText('a: [b]', 'f.yaml'), { a: ['b'] });
    t.true(loaded());
    releaseYaml();
    t.false(loaded());
  }
});

for (const [form, text] of [
  ['YAML', 'node:\n  id: a\n  id: b\n'],
  ['JSON', '{"node": {"id": "a",\n "id": "b"}}'],
] as const) {
  test(`a key that stands twice in ${form} is refused with its line`, (t) => {
    t.throws(() => parseConfigText(text, 'envoy.yaml'), {
      code: 'CONFIG_SYNTAX',
      message: /^envoy\.yaml:\d+:\d+: .*unique/,
    });
  });
}

test('broken syntax names the line; aliases cannot explode', (t) => {
  t.throws(() => parseConfigText('a: [1\nb: 2', 'f.yaml'), { message: /^f\.yaml:\d+:\d+: / });
  const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
    .split('')
    .map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdefghi'[i]}`).join(',')}]`)
    .join('\n')}`;
  t.throws(() => parseConfigText(bomb, 'f'), { code: 'CONFIG_SYNTAX' });
});
