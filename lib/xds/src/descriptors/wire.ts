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

/** The value of the field of this number, the last one if there are several; undefined where there is none. */
function valueIn<T>(bytes: Uint8Array, wanted: number, read: (reader: BinaryReader) => T): T | undefined {
  let found: T | undefined;
  eachField(bytes, (number, reader) => {
    if (number !== wanted) return false;
    found = read(reader);
    return true;
  });
  return found;
}

/** A message in a message, as bytes. */
export function messageIn(bytes: Uint8Array, wanted: number): Uint8Array | undefined {
  return valueIn(bytes, wanted, (reader) => reader.bytes());
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
  return options === undefined ? undefined : valueIn(options, wanted, (reader) => reader.int32());
}

/** Whether a bool option is set. */
export function isSet(options: Uint8Array | undefined, wanted: number): boolean {
  return optionIn(options, wanted) === 1;
}
