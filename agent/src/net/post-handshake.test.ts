import test from 'ava';
import { PostHandshake, type PostHandshakeResult } from './post-handshake.ts';
import { alert } from './tls-alerts.ts';

const update = (request: number): number[] => [24, 0, 0, 1, request];
const ticket = (length: number): number[] => [
  4,
  length >>> 16,
  (length >>> 8) & 0xff,
  length & 0xff,
  ...new Array(length).fill(7),
];
const { unexpectedMessage, decodeError, illegalParameter } = alert;

const messages: readonly (readonly [string, 'client' | 'server', readonly number[], PostHandshakeResult])[] = [
  ['a KeyUpdate', 'server', update(0), 'updated'],
  ['a KeyUpdate that asks for one', 'client', update(1), 'update-asked'],
  ['a ticket', 'client', ticket(200), 'nothing'],
  ['the longest ticket', 'client', ticket(131_337), 'nothing'],
  ['two tickets', 'client', [...ticket(3), ...ticket(70_000)], 'nothing'],
  ['tickets and a KeyUpdate', 'client', [...ticket(3), ...ticket(1), ...update(0)], 'updated'],
  ['a ticket for a server', 'server', ticket(200), { refused: unexpectedMessage }],
  ['a ticket of nothing', 'client', ticket(0), { refused: decodeError }],
  ['a ticket longer than any can be', 'client', [4, 255, 255, 255], { refused: decodeError }],
  ['a KeyUpdate of two bytes', 'client', [24, 0, 0, 2, 0, 0], { refused: decodeError }],
  ['a KeyUpdate of 65537 bytes', 'client', [24, 1, 0, 1], { refused: decodeError }],
  ['a KeyUpdate that asks for something else', 'client', update(2), { refused: illegalParameter }],
  ['a request for a certificate', 'client', [13, 0, 0, 1, 0], { refused: unexpectedMessage }],
  ['a Finished', 'server', [20, 0, 0, 1, 0], { refused: unexpectedMessage }],
];

/** The result of the last piece, or the first that is not "nothing". */
function take(role: 'client' | 'server', bytes: Uint8Array, pieceBytes: number): PostHandshakeResult {
  const messages_ = new PostHandshake(role);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const result = messages_.take(bytes, at, Math.min(bytes.length, at + pieceBytes));
    if (result !== 'nothing') return result;
  }
  return messages_.isInside ? { refused: unexpectedMessage } : 'nothing';
}

for (const [what, role, bytes, result] of messages) {
  test(`${what}, in records of any size`, (t) => {
    for (const size of [1, 2, 3, 4, 5, 7, 16_384, bytes.length]) {
      t.deepEqual(take(role, Uint8Array.from(bytes), size), result, `${size} bytes each`);
    }
  });
}

test('nothing comes in a record behind a KeyUpdate, and a message that has begun is not over', (t) => {
  const behind = Uint8Array.from([...update(0), ...ticket(1)]);
  t.deepEqual(new PostHandshake('client').take(behind, 0, behind.length), { refused: unexpectedMessage });
  const begun = new PostHandshake('client');
  t.false(begun.isInside);
  t.is(begun.take(Uint8Array.from(ticket(5)), 0, 8), 'nothing');
  t.true(begun.isInside);
  t.is(begun.take(Uint8Array.from(ticket(5)), 8, 9), 'nothing');
  t.false(begun.isInside);
});
