import test from 'ava';
import fc from 'fast-check';
import { calmBytes, createRing, maxLineBytes, maxTag, RingReader, RingWriter } from './ring.ts';

const smallest = 4 * maxLineBytes;

function write(writer: RingWriter, tag: number, line: string): boolean {
  const start = writer.reserve(tag);
  if (start < 0) return false;
  const bytes = Buffer.from(line, 'latin1');
  writer.bytes.set(bytes, start);
  writer.commit(start + bytes.length);
  writer.publish();
  return true;
}

function readAll(reader: RingReader): [number, string][] {
  const lines: [number, string][] = [];
  reader.drain((tag, bytes, start, end) =>
    lines.push([tag, Buffer.from(bytes.subarray(start, end)).toString('latin1')]),
  );
  return lines;
}

test('lines come out as they went in, with their tags', (t) => {
  const ring = createRing(smallest);
  const writer = new RingWriter(ring);
  const reader = new RingReader(ring);
  t.true(write(writer, 1, 'a'));
  t.true(write(writer, 2, ''));
  t.true(write(writer, 1, 'x'.repeat(maxLineBytes)));
  t.deepEqual(readAll(reader), [
    [1, 'a'],
    [2, ''],
    [1, 'x'.repeat(maxLineBytes)],
  ]);
  t.deepEqual(readAll(reader), []);
});

test('lines of one tag make a run, which is seen when it is published', (t) => {
  const ring = createRing(smallest);
  const writer = new RingWriter(ring);
  const reader = new RingReader(ring);
  const runs: [number, string, number][] = [];
  const read = (): number =>
    reader.drain((tag, bytes, start, end, lines) =>
      runs.push([tag, Buffer.from(bytes.subarray(start, end)).toString('latin1'), lines]),
    );
  const put = (tag: number, line: string): void => {
    const start = writer.reserve(tag);
    writer.bytes.set(Buffer.from(line), start);
    writer.commit(start + line.length);
  };
  put(1, 'one,');
  put(1, 'two,');
  t.is(read(), 0);
  put(maxTag, 'other');
  t.is(read(), 2);
  put(1, 'three');
  writer.publish();
  writer.publish();
  t.is(read(), 2);
  t.deepEqual(runs, [
    [1, 'one,two,', 2],
    [maxTag, 'other', 1],
    [1, 'three', 1],
  ]);
});

test('a full ring refuses, and takes again when it was read', (t) => {
  const ring = createRing(smallest);
  const writer = new RingWriter(ring);
  const reader = new RingReader(ring);
  let written = 0;
  while (write(writer, 1, 'y'.repeat(10_000))) written++;
  t.true(written >= 8 && written <= 13, String(written));
  t.is(writer.reserve(1), -1);
  t.is(readAll(reader).length, written);
  t.true(write(writer, 1, 'z'));
  t.deepEqual(readAll(reader), [[1, 'z']]);
});

test('calm traffic stays at the start of the ring', (t) => {
  const ring = createRing(4 * calmBytes);
  const writer = new RingWriter(ring);
  const reader = new RingReader(ring);
  for (let i = 1; i <= 2000; i++) {
    t.true(write(writer, 1, 'c'.repeat(1000)));
    if (i % 50 === 0) t.is(readAll(reader).length, 50);
  }
  const beyond = Buffer.from(writer.bytes.subarray(calmBytes + 50 * 1008));
  t.true(beyond.every((byte) => byte === 0));
});

test('wherever in the ring a burst begins, the reader is asked before anything is refused', (t) => {
  const ring = createRing(4 * calmBytes);
  let calls = 0;
  const writer = new RingWriter(ring, () => calls++);
  const reader = new RingReader(ring);
  for (let calm = 0; calm < 300; calm++) {
    const before = calls;
    let written = 0;
    while (calls === before) {
      t.true(write(writer, 1, 'b'.repeat(1000)));
      written++;
    }
    t.true(written * 1008 >= calmBytes / 2, `asked after ${written} lines`);
    t.is(readAll(reader).length, written);
    for (let i = 0; i < calm; i++) {
      t.true(write(writer, 1, 'c'.repeat(1000)));
      t.is(readAll(reader).length, 1);
    }
    t.is(calls, before + 1, 'nobody is asked for calm traffic');
  }
});

test('at half full the reader is called, once until it has read', (t) => {
  const ring = createRing(smallest);
  let calls = 0;
  const writer = new RingWriter(ring, () => calls++);
  const reader = new RingReader(ring);
  for (let round = 1; round <= 3; round++) {
    let written = 0;
    while (calls < round && write(writer, 1, 'h'.repeat(992))) written += 1000;
    // What is left over at the end of the ring counts as used.
    t.true(written <= smallest / 2 + 1000 && written > smallest / 2 - maxLineBytes - 2000, String(written));
    for (let i = 0; i < 10; i++) t.true(write(writer, 1, 'h'.repeat(992)));
    t.is(calls, round);
    readAll(reader);
  }
});

test('any mixture of writing, publishing and reading keeps order and content, over many turns of the ring', (t) => {
  const line = fc.record({
    tag: fc.nat({ max: 2 }),
    length: fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: maxLineBytes })),
  });
  const steps = fc.array(fc.oneof(line, fc.constantFrom('read' as const, 'publish' as const)), { maxLength: 80 });
  fc.assert(
    fc.property(fc.constantFrom(smallest, 2 * calmBytes), steps, (capacity, script) => {
      const ring = createRing(capacity);
      const writer = new RingWriter(ring);
      const reader = new RingReader(ring);
      const expected = ['', '', ''];
      const seen = ['', '', ''];
      let [n, written, counted] = [0, 0, 0];
      const read = (): void => {
        counted += reader.drain((tag, bytes, start, end) => {
          seen[tag] += Buffer.from(bytes.subarray(start, end)).toString('latin1');
        });
      };
      for (const step of script) {
        if (step === 'read') read();
        else if (step === 'publish') writer.publish();
        else {
          const start = writer.reserve(step.tag);
          const content = String.fromCharCode(33 + (n++ % 90)).repeat(step.length);
          if (start < 0) continue;
          writer.bytes.set(Buffer.from(content), start);
          writer.commit(start + content.length);
          expected[step.tag] += content;
          written++;
        }
      }
      writer.publish();
      read();
      return written === counted && seen.every((text, tag) => text === expected[tag]);
    }),
    { numRuns: 300 },
  );
  t.pass();
});

test('positions run over 32 bits', (t) => {
  const ring = createRing(smallest);
  const control = new Int32Array(ring, 0, 16);
  control[0] = control[8] = -smallest;
  const writer = new RingWriter(ring);
  const reader = new RingReader(ring);
  for (let i = 1; i <= 200; i++) {
    t.true(write(writer, i, 'q'.repeat(3000)));
    t.deepEqual(
      readAll(reader).map(([tag]) => tag),
      [i],
    );
  }
});

test('only sizes that work', (t) => {
  t.throws(() => createRing(1000), { instanceOf: RangeError });
  t.throws(() => createRing(3 * 65_536), { instanceOf: RangeError });
});
