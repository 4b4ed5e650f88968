/** A configuration file as a weapon: it ends with a message and exit code 1, in seconds and in little memory. */
import test from 'ava';
import { Agent } from './agent.ts';

const laughs = (): string => {
  const lines = ['a: &a [x, x, x, x, x, x, x, x, x, x]'];
  for (let i = 1; i < 12; i++) {
    const [to, from] = [String.fromCharCode(97 + i), String.fromCharCode(96 + i)];
    lines.push(`${to}: &${to} [${Array(10).fill(`*${from}`).join(', ')}]`);
  }
  return lines.join('\n');
};

const files: readonly (readonly [name: string, text: string])[] = [
  ['a billion laughs (CVE-2003-1564)', laughs()],
  ['depth in flow', `node: ${'['.repeat(20_000)}`],
  ['depth in JSON', '['.repeat(1_000_000)],
  ['depth in a Struct', `{"node":{"metadata":{"a":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}}}`],
  ['a circle', 'node: &n { metadata: *n }'],
  ['a prototype', '{"__proto__":{"admin":{}},"node":{"id":"x"}}'],
  ['a prototype in YAML', '__proto__: { admin: {} }'],
  ['a constructor', 'constructor: { prototype: { admin: {} } }'],
  ['a merge key', 'node: { <<: { id: a } }'],
  ['a tag that runs code', 'node: !!js/function "function () { process.exit(0) }"'],
  ['a regex that explodes', '{"static_resources":{"clusters":[{"name":"c","alt_stat_name":"x","foo":"(a+)+$"}]}}'],
  ['NUL', 'node:\0 {}'],
];

test('each file is refused with a reason', async (t) => {
  for (const [name, text] of files) {
    const begun = performance.now();
    const { code, stderr } = await Agent.refused(text);
    t.is(code, 1, `${name}: ${stderr.slice(0, 300)}`);
    t.true(stderr.length > 0 && stderr.length < 20_000, `${name}: ${stderr.length} characters`);
    t.false(/^\s+at .*\(.*:\d+:\d+\)$/m.test(stderr), `${name}: no stack trace: ${stderr.slice(0, 500)}`);
    t.true(performance.now() - begun < 15_000, name);
  }
});
