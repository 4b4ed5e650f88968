import test from 'ava';
import { parseQuantity } from './quantity.ts';

const nanos = 1_000_000_000n;
for (const [text, value] of [
  ['1', nanos],
  ['100m', nanos / 10n],
  ['0.1', nanos / 10n],
  ['.5', nanos / 2n],
  ['1e3', 1000n * nanos],
  ['1Ki', 1024n * nanos],
  ['1.5Gi', (3n * 1024n ** 3n * nanos) / 2n],
  ['2M', 2_000_000n * nanos],
  ['1E', 10n ** 18n * nanos],
  ['0.1n', 1n],
] as const) {
  test(`quantity ${text}`, (t) => t.is(parseQuantity(text), value));
}

for (const text of ['', '-1', 'm', '1x', '1 Gi', '1ki', '.', '1e', '0x10', 'constructor']) {
  test(`no quantity: '${text}'`, (t) => t.is(parseQuantity(text), undefined));
}
