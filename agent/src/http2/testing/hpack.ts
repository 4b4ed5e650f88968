/** Short ways to say what goes into and comes out of a header block. */
import { Head } from '../../http1/head.ts';
import { viewOf } from '../../http1/words.ts';
import { HeadAssembly, type HeadKind } from '../head-assembly.ts';
import type { HpackDecoder } from '../hpack-decoder.ts';

export const wideLimits = { maxBytes: 61_440, maxHeaders: 100 };

export interface Decoded {
  readonly ok: boolean;
  readonly verdict: number;
  readonly head: Head;
}

/** Decodes a block in the middle of a larger buffer. */
export function decodeBlock(
  decoder: HpackDecoder,
  block: Buffer,
  kind: HeadKind = 'request',
  limits = wideLimits,
  connectProtocol = false,
): Decoded {
  const bytes = Buffer.concat([Buffer.alloc(8, 0xa5), block, Buffer.alloc(8, 0xa5)]);
  const assembly = new HeadAssembly(limits);
  const head = new Head();
  assembly.begin(head, kind, limits, connectProtocol);
  const ok = decoder.decode(bytes, viewOf(bytes), 8, 8 + block.length, assembly);
  assembly.finish();
  return { ok, verdict: assembly.verdict, head };
}

/** A block of literals without indexing. */
export function literals(...fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [
      Buffer.from([0]),
      lengthOf(name),
      Buffer.from(name, 'latin1'),
      lengthOf(value),
      Buffer.from(value, 'latin1'),
    ]),
  );
}

function lengthOf(text: string): Buffer {
  const { length } = text;
  if (length < 127) return Buffer.from([length]);
  const bytes = [127];
  let rest = length - 127;
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

/** What a head says, as text. */
export function fieldsOf(head: Head): string[] {
  const found: string[] = [];
  for (let i = 0; i < head.count; i++) {
    if (!head.isRemoved(i)) found.push(`${head.name(i)}: ${head.value(i)}`);
  }
  return found;
}

export function requestLine(head: Head): string {
  return `${head.methodName()} ${head.text(head.targetStart, head.targetEnd)} ${head.schemeName()}`;
}
