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

/** The message in a field of this number, as bytes; undefined where there is none. */
export function messageIn(bytes: Uint8Array, wanted: number): Uint8Array | undefined {
  let found: Uint8Array | undefined;
  eachField(bytes, (number, reader) => {
    if (number !== wanted) return false;
    found = reader.bytes();
    return true;
  });
  return found;
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

/** An option that is a bool, a number or an enum, by its field number; undefined where the options say nothing of it. */
export function optionIn(options: Uint8Array | undefined, wanted: number): number | undefined {
  let value: number | undefined;
  if (options !== undefined) {
    eachField(options, (number, reader) => {
      if (number !== wanted) return false;
      value = reader.int32();
      return true;
    });
  }
  return value;
}

/** Whether a bool option is set. */
export function isSet(options: Uint8Array | undefined, wanted: number): boolean {
  return optionIn(options, wanted) === 1;
}
