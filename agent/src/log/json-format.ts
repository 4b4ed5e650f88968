/**
 * JSON log lines: sorted keys, numbers as numbers, null for what is missing. Everything between two values is one
 * constant piece of bytes.
 */
import type { LogRecord } from '../http/request-view.ts';
import type { JsonLogFields } from '../model/log.ts';
import { compileFormat, type LineWriter, type Segment } from './format.ts';
import { writeLineCode } from './json-code.ts';
import { type LineBuffer, Piece, uncut } from './line-buffer.ts';
import { type Operator, readOperator, Value } from './operators.ts';
import { RepeatedText } from './repeated-text.ts';

const nullPiece = Piece.of('null');
const quotePiece = Piece.of('"');

/** A value that is not constant: one operator, which keeps its type, or a mixture, which is a string. */
type JsonValue = SingleValue | MixedValue;

/**
 * Compiles the fields of a JSON access log.
 * @throws UserError LOG_FORMAT_INVALID, LOG_UNKNOWN_OPERATOR
 */
export function compileJsonLine(fields: JsonLogFields, omitEmpty: boolean): LineWriter {
  return omitEmpty ? sparse(fields) : dense(fields);
}

interface Leaf {
  /** Constant bytes before the value. */
  readonly lead: string;
  readonly value: JsonValue;
}

/** The usual one: code for ordinary lines, and a list of (constant bytes, value) for the others. */
function dense(fields: JsonLogFields): LineWriter {
  const leaves: Leaf[] = [];
  const tail = addObject(leaves, fields, '');
  const steps = leaves.map(({ lead, value }) => ({ lead: Piece.of(lead), value }));
  const last = Piece.of(`${tail}\n`);
  const quick = writeLineCode(
    leaves.map(({ lead, value }) => ({ lead, operator: value.whole, write: (line, r) => value.write(line, r) })),
    `${tail}\n`,
  );
  return (line, record) => {
    const { at, valueLimit } = line;
    if (valueLimit === uncut && quick(line, record)) return;
    line.at = at;
    line.overflowed = false;
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i];
      if (step === undefined) continue;
      line.raw(step.lead);
      step.value.write(line, record);
    }
    line.raw(last);
  };
}

/** Appends the leaves of an object; constant text is carried along until a value needs it in front. */
function addObject(leaves: Leaf[], fields: JsonLogFields, before: string): string {
  let lead = `${before}{`;
  for (const [i, key] of sortedKeys(fields).entries()) {
    const value = fields[key];
    lead += `${i === 0 ? '' : ','}${JSON.stringify(key)}:`;
    if (typeof value === 'object') lead = addObject(leaves, value, lead);
    else {
      const compiled = compileValue(value ?? '');
      if (typeof compiled === 'string') lead += compiled;
      else {
        leaves.push({ lead, value: compiled });
        lead = '';
      }
    }
  }
  return `${lead}}`;
}

/** Byte order, as a C++ map has it. */
function sortedKeys(fields: JsonLogFields): string[] {
  return Object.keys(fields).toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** A value without operators is its JSON text. */
function compileValue(format: string): string | JsonValue {
  const { segments, constant } = compileFormat(format);
  if (constant !== null) return JSON.stringify(constant);
  const [only, ...more] = segments;
  return only?.kind === 'operator' && more.length === 0
    ? new SingleValue(only.operator, only.maxLength)
    : new MixedValue(segments);
}

/** Read again for each value, by one writer after the other. */
const value = new Value();

/** One operator. */
class SingleValue {
  readonly #operator: Operator;
  readonly #maxLength: number;
  readonly #texts = new RepeatedText();

  constructor(operator: Operator, maxLength: number) {
    this.#operator = operator;
    this.#maxLength = maxLength;
  }

  /** The operator, where nothing is cut and nothing is no value. */
  get whole(): Operator | null {
    const operator = this.#operator;
    const keepsEmpty = operator.kind === 'computed' && operator.keepsEmpty;
    return keepsEmpty || this.#maxLength !== Number.MAX_SAFE_INTEGER ? null : operator;
  }

  write(line: LineBuffer, record: LogRecord): void {
    readOperator(this.#operator, this.#maxLength, record, value);
    switch (value.kind) {
      case 'none':
        line.raw(nullPiece);
        return;
      case 'number':
        line.number(value.number);
        return;
      case 'text':
        this.#texts.write(line, value.text);
        return;
      case 'bytes':
        line.jsonBytes(value.range.bytes, value.range.start, value.range.end);
        return;
    }
  }

  isEmpty(record: LogRecord): boolean {
    readOperator(this.#operator, this.#maxLength, record, value);
    return value.kind === 'none';
  }
}

/** Text and operators in one JSON string; what is missing is `-`. */
class MixedValue {
  readonly whole = null;
  readonly #segments: readonly Segment[];

  constructor(segments: readonly Segment[]) {
    this.#segments = segments;
  }

  write(line: LineBuffer, record: LogRecord): void {
    line.raw(quotePiece);
    for (const segment of this.#segments) {
      line.json(segment.kind === 'text' ? segment.text : String(segment.read(record) ?? '-'));
    }
    line.raw(quotePiece);
  }

  isEmpty(_record: LogRecord): boolean {
    return false;
  }
}

interface Member {
  write(line: LineBuffer, record: LogRecord): void;
  isEmpty(record: LogRecord): boolean;
}

/** With omit_empty_values, keys without a value are left out, so the commas depend on the record. */
function sparse(fields: JsonLogFields): LineWriter {
  const object = sparseObject(fields);
  const lineEnd = Piece.of('\n');
  return (line, record) => {
    object(line, record);
    line.raw(lineEnd);
  };
}

function sparseObject(fields: JsonLogFields): LineWriter {
  const members = sortedKeys(fields).map((key) => ({
    key: Piece.of(`${JSON.stringify(key)}:`),
    of: sparseMember(fields[key]),
  }));
  const open = Piece.of('{');
  const comma = Piece.of(',');
  const close = Piece.of('}');
  return (line, record) => {
    let lead = open;
    for (const { key, of } of members) {
      if (of.isEmpty(record)) continue;
      line.raw(lead);
      line.raw(key);
      of.write(line, record);
      lead = comma;
    }
    if (lead === open) line.raw(open);
    line.raw(close);
  };
}

function sparseMember(field: string | JsonLogFields | undefined): Member {
  if (typeof field === 'object') return { write: sparseObject(field), isEmpty: () => false };
  const compiled = compileValue(field ?? '');
  if (typeof compiled !== 'string') return compiled;
  const piece = Piece.of(compiled);
  return { write: (line) => line.raw(piece), isEmpty: () => compiled === '""' };
}
