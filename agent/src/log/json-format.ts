/**
 * JSON log lines: sorted keys, numbers as numbers, null for what is missing. Everything between two values is one
 * constant piece of bytes.
 */
import type { LogRecord } from '../http/request-view.ts';
import type { JsonLogFields } from '../model/log.ts';
import { compileFormat, type LineWriter, type Segment } from './format.ts';
import type { LineBuffer } from './line-buffer.ts';

const encoder = new TextEncoder();
const nullBytes = encoder.encode('null');
const quoteByte = encoder.encode('"');

/** Values that are longer are not kept: they may be cut when a line must be shortened. */
const longestKept = 128;

type Read = Extract<Segment, { kind: 'operator' }>['read'];

interface Leaf {
  /** Constant bytes before the value. */
  lead: string;
  readonly write: LineWriter | null;
}

/**
 * Compiles the fields of a JSON access log.
 * @throws UserError LOG_FORMAT_INVALID, LOG_UNKNOWN_OPERATOR
 */
export function compileJsonLine(fields: JsonLogFields, omitEmpty: boolean): LineWriter {
  return omitEmpty ? sparse(fields) : dense(fields);
}

/** The hot one: a list of (constant bytes, value). */
function dense(fields: JsonLogFields): LineWriter {
  const leaves: Leaf[] = [];
  const tail = addObject(leaves, fields, '');
  const steps = leaves.map(({ lead, write }) => ({ lead: encoder.encode(lead), write: write ?? (() => {}) }));
  const last = encoder.encode(`${tail}\n`);
  return (line, record) => {
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i];
      if (step === undefined) continue;
      line.raw(step.lead);
      step.write(line, record);
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
        leaves.push({ lead, write: compiled.write });
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

interface Value {
  readonly write: LineWriter;
  isEmpty(record: LogRecord): boolean;
}

/** A value without operators is its JSON text; a single operator keeps its type; a mixture is a string. */
function compileValue(format: string): string | Value {
  const { segments, constant } = compileFormat(format);
  if (constant !== null) return JSON.stringify(constant);
  const [only, ...more] = segments;
  if (only?.kind === 'operator' && more.length === 0) return single(only.read);
  const steps = segments.map(
    (segment): LineWriter =>
      segment.kind === 'text'
        ? (line) => line.json(segment.text)
        : (line, r) => line.json(String(segment.read(r) ?? '-')),
  );
  const write: LineWriter = (line, record) => {
    line.raw(quoteByte);
    for (const step of steps) step(line, record);
    line.raw(quoteByte);
  };
  return { write, isEmpty: () => false };
}

function single(read: Read): Value {
  const writeText = repeating();
  const write: LineWriter = (line, record) => {
    const value = read(record);
    if (value === null) line.raw(nullBytes);
    else if (typeof value === 'number') line.number(value);
    else writeText(line, value);
  };
  return { write, isEmpty: (record) => read(record) === null };
}

/**
 * Writes a JSON string, and keeps the bytes of one that came twice running: clusters, peers and methods repeat from line
 * to line, and copying costs a third of escaping. Ids never repeat and so are never kept.
 */
function repeating(): (line: LineBuffer, value: string) => void {
  let kept: string | null = null;
  let keptBytes = nullBytes;
  let previous = '';
  return (line, value) => {
    if (value === kept) {
      line.raw(keptBytes);
      return;
    }
    const start = line.at;
    line.jsonString(value);
    if (value === previous && value.length <= longestKept) {
      kept = line.overflowed ? null : value;
      keptBytes = line.bytes.slice(start, line.at);
    }
    previous = value;
  };
}

/** With omit_empty_values, keys without a value are left out, so the commas depend on the record. */
function sparse(fields: JsonLogFields): LineWriter {
  const object = sparseObject(fields);
  const lineEnd = encoder.encode('\n');
  return (line, record) => {
    object(line, record);
    line.raw(lineEnd);
  };
}

function sparseObject(fields: JsonLogFields): LineWriter {
  const members = sortedKeys(fields).map((key) => ({
    key: encoder.encode(`${JSON.stringify(key)}:`),
    ...sparseMember(fields[key]),
  }));
  const open = encoder.encode('{');
  const comma = encoder.encode(',');
  const close = encoder.encode('}');
  return (line, record) => {
    let lead = open;
    for (const member of members) {
      if (member.isEmpty(record)) continue;
      line.raw(lead);
      line.raw(member.key);
      member.write(line, record);
      lead = comma;
    }
    if (lead === open) line.raw(open);
    line.raw(close);
  };
}

function sparseMember(value: string | JsonLogFields | undefined): Value {
  if (typeof value === 'object') return { write: sparseObject(value), isEmpty: () => false };
  const compiled = compileValue(value ?? '');
  if (typeof compiled !== 'string') return compiled;
  const bytes = encoder.encode(compiled);
  return { write: (line) => line.raw(bytes), isEmpty: () => compiled === '""' };
}
