import test from 'ava';
import fc from 'fast-check';
import { decodeGrpcMessage, encodeGrpcMessage } from './percent.ts';

test('what is printable stays, the rest is escaped as UTF-8', (t) => {
  t.is(encodeGrpcMessage('upstream connect error: 5/10'), 'upstream connect error: 5/10');
  t.is(encodeGrpcMessage('100 %\r\n'), '100 %25%0D%0A');
  t.is(encodeGrpcMessage('ü☺'), '%C3%BC%E2%98%BA');
});

test('decoding never fails', (t) => {
  t.is(decodeGrpcMessage('a%20b%c3%bc'), 'a bü');
  t.is(decodeGrpcMessage('50%'), '50%');
  t.is(decodeGrpcMessage('%zz%4'), '%zz%4');
  t.is(decodeGrpcMessage('%ff'), '\ufffd');
});

test('any text comes back, and what travels is printable ASCII', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const encoded = encodeGrpcMessage(text);
      return /^[\x20-\x7e]*$/.test(encoded) && decodeGrpcMessage(encoded) === text;
    }),
  );
  t.pass();
});
