import test from 'ava';
import fc from 'fast-check';
import { ChunkedDecoder } from './chunked-decoder.ts';
import { Head } from './head.ts';
import { badChunks } from './testing/cases.ts';

const limits = { maxBytes: 61_440, maxHeaders: 100 };

interface Decoded {
  readonly data: string;
  /** Bytes behind the body, or null when it is not complete. */
  readonly rest: string | null;
  readonly rejected: boolean;
  readonly trailers: readonly string[];
}

/** Decodes the pieces one after another, each at its own place of a buffer. */
function decode(pieces: readonly string[]): Decoded {
  const decoder = new ChunkedDecoder();
  const head = new Head();
  let data = '';
  for (const [i, piece] of pieces.entries()) {
    const buffer = Buffer.from(`....${piece}`, 'latin1');
    const next = decoder.decode(buffer, 4, buffer.length, head, limits);
    if (next < 0) return { data, rest: null, rejected: true, trailers: [] };
    data += buffer.toString('latin1', decoder.dataStart, decoder.dataEnd);
    if (decoder.done) {
      const rest = buffer.toString('latin1', next) + pieces.slice(i + 1).join('');
      const trailers = decoder.hasTrailers
        ? Array.from({ length: head.count }, (_, f) => `${head.name(f)}=${head.value(f)}`)
        : [];
      return { data, rest, rejected: false, trailers };
    }
  }
  return { data, rest: null, rejected: false, trailers: [] };
}

const good = '5\r\nhello\r\n1;ext="a;b"\r\n \r\nA ; x\r\n0123456789\r\n0\r\nX-Sum: abc\r\ny:z\r\n\r\nGET /next';

test('data, extensions and trailers are told apart', (t) => {
  t.deepEqual(decode([good]), {
    data: 'hello 0123456789',
    rest: 'GET /next',
    rejected: false,
    trailers: ['x-sum=abc', 'y=z'],
  });
});

test('every split of a body gives the same, also one byte at a time', (t) => {
  const whole = decode([good]);
  for (let i = 1; i < good.length; i++) t.deepEqual(decode([good.slice(0, i), good.slice(i)]), whole, `split at ${i}`);
  t.deepEqual(decode([...good]), whole);
});

for (const c of badChunks) {
  test(`rejected at every split: ${c.name}`, (t) => {
    t.true(decode([c.body]).rejected);
    t.true(decode([...c.body]).rejected);
    if (c.body.length > 1000) return;
    for (let i = 1; i < c.body.length; i++) t.true(decode([c.body.slice(0, i), c.body.slice(i)]).rejected, `at ${i}`);
  });
}

test('trailers over the limit are rejected', (t) => {
  const fields = Array.from({ length: 101 }, (_, i) => `x-${i}: y\r\n`).join('');
  t.true(decode([`0\r\n${fields}\r\n`]).rejected);
  t.true(decode([`0\r\nx: ${'y'.repeat(70_000)}\r\n\r\n`]).rejected);
});

test('any chunks in any pieces give the data', (t) => {
  const chunks = fc.array(fc.string({ minLength: 1, maxLength: 40, unit: 'binary-ascii' }), { maxLength: 8 });
  fc.assert(
    fc.property(chunks, fc.array(fc.nat({ max: 60 }), { maxLength: 10 }), (data, cuts) => {
      const body = `${data.map((d) => `${d.length.toString(16)}\r\n${d}\r\n`).join('')}0\r\n\r\n`;
      const pieces: string[] = [];
      let left = body;
      for (const cut of cuts) {
        if (cut === 0) continue;
        pieces.push(left.slice(0, cut));
        left = left.slice(cut);
      }
      pieces.push(left);
      const result = decode(pieces.filter((p) => p !== ''));
      t.is(result.data, data.join(''));
      t.is(result.rest, '');
    }),
    { numRuns: 300 },
  );
});
