/**
 * Reading a message so that nothing in it is overlooked: every field that the reader of a type takes is ticked off,
 * and finish() refuses what is set and was not taken, by path and name.
 * Invariant: a message is accepted only when each set field was used or stands in the table of ignored fields.
 */
import { type DescField, type DescMessage, isFieldSet, type Message } from '@bufbuild/protobuf';
import type { Any, Duration } from '@bufbuild/protobuf/wkt';
import { FieldError, joinPath, unpackAny } from '@chainmail/xds';
import { messageNamed } from '@chainmail/xds/registry';
import { ignoredFields } from './ignored-fields.ts';
import { noRuntime, type RuntimeValues } from './runtime.ts';

type Name<M> = Exclude<keyof M, '$typeName' | '$unknown'> & string;
type Nested<V> = Extract<NonNullable<V>, Message>;
type Item<V> = V extends readonly (infer I)[] ? Extract<I, Message> : never;
type Read<M extends Message, T> = (reader: MessageReader<M>) => T;

/** One implemented extension: the type of its configuration and what reads it. */
export interface Extension<T> {
  readonly typeName: string;
  readonly read: (reader: MessageReader<Message>) => T;
}

export function extension<M extends Message, T>(typeName: M['$typeName'], read: Read<M, T>): Extension<T> {
  return { typeName, read: read as unknown as Extension<T>['read'] };
}

/** Reads a whole message; the path is where it stands. runtime holds for it and all inside it. */
export function readMessage<M extends Message, T>(
  message: M,
  path: string,
  read: Read<M, T>,
  runtime: RuntimeValues = noRuntime,
): T {
  const reader = new MessageReader<M>(messageNamed(message.$typeName), message, path, runtime);
  const result = read(reader);
  reader.finish();
  return result;
}

export class MessageReader<M extends Message> {
  readonly message: M;
  readonly path: string;
  readonly runtime: RuntimeValues;
  readonly #desc: DescMessage;
  readonly #taken = new Set<string>();

  constructor(desc: DescMessage, message: M, path: string, runtime: RuntimeValues = noRuntime) {
    this.runtime = runtime;
    this.#desc = desc;
    this.message = message;
    this.path = path;
  }

  get typeName(): string {
    return this.#desc.typeName;
  }

  /** The value of a field or oneof, which now counts as used. */
  take<K extends Name<M>>(name: K): M[K] {
    this.#taken.add(name);
    return this.message[name];
  }

  /** Path of a field of this message, also of a member of a oneof, by its name in TypeScript. */
  at(name: string): string {
    return joinPath(
      this.path,
      this.#desc.field[name]?.name ?? this.#desc.oneofs.find((o) => o.localName === name)?.name ?? name,
    );
  }

  isSet(name: Name<M>): boolean {
    const field = this.#desc.field[name];
    return field !== undefined && isFieldSet(this.message, field);
  }

  /** Milliseconds of a Duration field; undefined when it is not set. */
  durationMs(name: Name<M>): number | undefined {
    const value = this.take(name) as Duration | undefined;
    return value === undefined ? undefined : this.checkedMs(name, value);
  }

  checkedMs(name: string, value: Duration): number {
    const ms = Number(value.seconds) * 1_000 + value.nanos / 1_000_000;
    if (ms < 0) throw this.invalid(name, 'must not be negative');
    // A positive time below a millisecond must not become 0, which means "off".
    return ms > 0 ? Math.max(1, Math.round(ms)) : 0;
  }

  /** Name of the enum value of a field, e.g. 'ROUND_ROBIN'. */
  enumName(name: Name<M>): string {
    return this.enumNameOf(name, this.take(name) as unknown as number);
  }

  /** The same for a member of a oneof. */
  enumNameOf(name: string, value: number): string {
    const found = this.#desc.field[name]?.enum?.value[value];
    if (found === undefined) throw this.invalid(name, `${value} is not a defined value`);
    return found.name;
  }

  /** Looks the enum value up in a table of those that are implemented. */
  oneOf<T>(name: Name<M>, table: Readonly<Record<string, T>>): T {
    const value = this.enumName(name);
    if (Object.hasOwn(table, value)) return table[value] as T;
    throw this.unsupported(name, `${value} is not implemented (${Object.keys(table).join(', ')} are)`);
  }

  /** For a field that changes nothing at these values, and is not implemented at any other. */
  only<K extends Name<M>>(name: K, ...values: readonly M[K][]): void {
    const value = this.take(name);
    if (value === undefined || values.includes(value)) return;
    if (this.isSet(name)) throw this.unsupported(name);
  }

  /** Reads a message field; undefined when it is not set. */
  inside<K extends Name<M>, T>(name: K, read: Read<Nested<M[K]>, T>): T | undefined {
    const value = this.take(name) as unknown as Nested<M[K]> | undefined;
    return value === undefined ? undefined : this.within(name, value, read);
  }

  /** Reads a message that must be there. */
  required<K extends Name<M>, T>(name: K, read: Read<Nested<M[K]>, T>): T {
    const value = this.take(name) as unknown as Nested<M[K]> | undefined;
    if (value === undefined) throw this.invalid(name, 'is required');
    return this.within(name, value, read);
  }

  /** Reads the message in a member of a oneof that was taken. */
  within<V extends Message, T>(name: string, value: V, read: Read<V, T>): T {
    return readMessage(value, this.at(name), read, this.runtime);
  }

  /** Reads each message of a list. */
  each<K extends Name<M>, T>(name: K, read: (reader: MessageReader<Item<M[K]>>, index: number) => T): readonly T[] {
    const items = this.take(name) as unknown as readonly Item<M[K]>[];
    return items.map((item, i) =>
      readMessage(item, `${this.at(name)}[${i}]`, (r: MessageReader<Item<M[K]>>) => read(r, i), this.runtime),
    );
  }

  /** Reads the extension in an Any: one of the implemented ones, or it is refused by its type. */
  extension<T>(name: string, any: Any, implemented: readonly Extension<T>[]): T {
    const inner = unpackAny(any);
    if (inner.kind === 'malformed') throw this.invalid(name, `malformed ${inner.typeName}: ${inner.reason}`);
    const typeName = inner.kind === 'message' ? inner.schema.typeName : inner.typeName;
    const found = implemented.find((e) => e.typeName === typeName);
    if (inner.kind !== 'message' || found === undefined) {
      throw this.unsupported(
        name,
        `extension ${typeName} is not implemented (${implemented.map((e) => e.typeName).join(', ')})`,
      );
    }
    return readMessage(inner.message, this.at(name), found.read, this.runtime);
  }

  /** The error for a setting that is wrong; `name` '' means the message as a whole. */
  invalid(name: string, reason: string): FieldError {
    return new FieldError(name === '' ? this.path : this.at(name), reason);
  }

  /** The error for a setting that is right, and that this agent does not implement. */
  unsupported(name: string, reason = `not implemented by this agent (field of ${this.typeName})`): FieldError {
    return new FieldError(name === '' ? this.path : this.at(name), reason, { code: 'CONFIG_UNSUPPORTED' });
  }

  /** @throws FieldError for the first field that is set and was neither taken nor may be ignored. */
  finish(): void {
    const ignored = ignoredFields[this.typeName] ?? {};
    for (const field of this.#desc.fields) {
      if (this.#isTaken(field) || !isFieldSet(this.message, field) || Object.hasOwn(ignored, field.name)) continue;
      throw this.unsupported(field.localName);
    }
    const [unknown] = this.message.$unknown ?? [];
    if (unknown !== undefined)
      throw this.unsupported('', `field number ${unknown.no} of ${this.typeName} is not known to this agent`);
  }

  #isTaken(field: DescField): boolean {
    return this.#taken.has(field.localName) || (field.oneof !== undefined && this.#taken.has(field.oneof.localName));
  }
}
