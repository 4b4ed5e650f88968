/** The fields of a message in binary form, one after the other, for readers that want a few of them. */
import { BinaryReader } from '@bufbuild/protobuf/wire';

/**
 * Calls `take` for each field; it reads the value and says true, or leaves it and says false.
 * @throws RangeError where the bytes are no message
 */
export function eachField(bytes: Uint8Array, take: (number: number, reader: BinaryReader) => boolean): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (!take(number, reader)) reader.skip(type, number);
  }
}

/** The text of field 1, where every descriptor has its name. */
export function nameIn(bytes: Uint8Array): string {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (number === 1) return reader.string();
    reader.skip(type, number);
  }
  throw new RangeError('a descriptor without a name');
}

/** Whether an option (a message in field `of` of a descriptor) has its bool `number` set; `undefined` if it says nothing. */
export function boolOption(options: Uint8Array | undefined, number: number): boolean | undefined {
  let value: boolean | undefined;
  if (options !== undefined) {
    eachField(options, (n, reader) => {
      if (n !== number) return false;
      value = reader.bool();
      return true;
    });
  }
  return value;
}
