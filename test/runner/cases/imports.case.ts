import test from 'ava';

const absent = './absent.ts';
await import(absent);
test('is never declared', (t) => t.pass());
