import { createCipheriv, createHmac, randomBytes } from 'node:crypto';
import test from 'ava';
import { Aead, type AeadName, hmac, tagBytes } from './aead.ts';
import { Region } from './libc.ts';

const keys: readonly (readonly [AeadName, number])[] = [
  ['AES-128-GCM', 16],
  ['AES-256-GCM', 32],
  ['ChaCha20-Poly1305', 32],
];
const sizes = [0, 1, 15, 16, 17, 255, 1000, 16_384];
/** Beyond 32 bits, too. */
const sequences = [0, 1, 0xffff_ffff, 0x1_0000_0000, 2 ** 40 + 5];
const region = new Region(64 * 1024);
const header = Buffer.from([23, 3, 3, 1, 2]);
const [headerAt, plainAt, sealedAt, openedAt] = [0, 64, 20_000, 40_000];

/** What node:crypto makes of it. */
function expected(name: AeadName, key: Buffer, iv: Buffer, sequence: number, content: Buffer): Buffer {
  const nonce = Buffer.from(iv);
  const count = Buffer.alloc(12);
  count.writeBigUInt64BE(BigInt(sequence), 4);
  for (let i = 0; i < 12; i++) nonce[i] = (nonce[i] ?? 0) ^ (count[i] ?? 0);
  const plain = Buffer.concat([content, Buffer.from([23])]);
  const cipher = createCipheriv(name.toLowerCase() as 'aes-128-gcm', key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(header, { plaintextLength: plain.length });
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function openAt(aead: Aead, sequence: number, length: number): boolean {
  const [from, to] = [region.span(sealedAt, length + tagBytes), region.span(openedAt, length)];
  return aead.open(sequence, region.span(headerAt, 5), from, length, to);
}

for (const [name, keyBytes] of keys) {
  test(`${name} seals as node:crypto does, and opens it again`, (t) => {
    const [key, iv] = [randomBytes(keyBytes), randomBytes(12)];
    const [seals, opens] = [new Aead(name, key, iv, 'seal'), new Aead(name, key, iv, 'open')];
    region.buffer.set(header, headerAt);
    for (const size of sizes) {
      for (const sequence of sequences) {
        const content = randomBytes(size);
        region.buffer.set(content, plainAt);
        const to = region.span(sealedAt, size + 1 + tagBytes);
        t.true(seals.seal(sequence, region.span(headerAt, 5), region.span(plainAt, size), size, 23, to));
        const sealed = region.buffer.subarray(sealedAt, sealedAt + size + 1 + tagBytes);
        t.true(sealed.equals(expected(name, key, iv, sequence, content)));
        t.true(openAt(opens, sequence, size + 1));
        const opened = region.buffer.subarray(openedAt, openedAt + size + 1);
        t.true(opened.equals(Buffer.concat([content, Buffer.from([23])])));
        t.false(openAt(opens, sequence + 1, size + 1), 'of another place in the order');
      }
    }
    for (const aead of [seals, opens]) aead.free();
  });

  test(`${name}: a bit that was changed anywhere is noticed`, (t) => {
    const [key, iv] = [randomBytes(keyBytes), randomBytes(12)];
    const [seals, opens] = [new Aead(name, key, iv, 'seal'), new Aead(name, key, iv, 'open')];
    region.buffer.set(header, headerAt);
    const size = 40;
    const to = region.span(sealedAt, size + 1 + tagBytes);
    seals.seal(7, region.span(headerAt, 5), region.span(plainAt, size), size, 23, to);
    const places = [...header.keys()].map((i) => headerAt + i);
    for (let i = 0; i < size + 1 + tagBytes; i++) places.push(sealedAt + i);
    for (const at of places) {
      for (let bit = 1; bit < 256; bit <<= 1) {
        region.buffer[at] = (region.buffer[at] ?? 0) ^ bit;
        t.false(openAt(opens, 7, size + 1), `bit ${bit} at ${at}`);
        region.buffer[at] = (region.buffer[at] ?? 0) ^ bit;
      }
    }
    t.true(openAt(opens, 7, size + 1));
    for (const aead of [seals, opens]) aead.free();
  });
}

test('a key that is freed neither seals nor opens, and may be freed again', (t) => {
  const [seals, opens] = (['seal', 'open'] as const).map(
    (d) => new Aead('AES-128-GCM', Buffer.alloc(16), Buffer.alloc(12), d),
  );
  for (const aead of [seals, opens, seals, opens]) aead?.free();
  t.is(seals?.seal(0, region.span(headerAt, 5), region.span(plainAt, 1), 1, 23, region.span(sealedAt, 18)), false);
  t.false(openAt(opens as Aead, 0, 2));
});

test('HMAC is that of node:crypto', (t) => {
  for (const hash of ['SHA256', 'SHA384'] as const) {
    for (const size of [1, 32, 48, 200]) {
      const [key, data] = [randomBytes(size), randomBytes(size + 1)];
      t.true(
        createHmac(hash, key)
          .update(data)
          .digest()
          .equals(hmac(hash, key, data)),
      );
    }
  }
});
