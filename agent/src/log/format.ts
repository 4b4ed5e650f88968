/**
 * Format strings compiled to lists of segments: once when configuration arrives, then only run. The same list gives a
 * string (added headers) or bytes (log lines).
 */
import type { LogRecord } from '../http/request-view.ts';
import { parseFormat } from './format-parser.ts';
import type { LineBuffer } from './line-buffer.ts';
import { compileOperator, type Operator } from './operators.ts';

/** One piece of a format: text, or an operator with its cut. */
export type Segment =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'operator'; readonly read: (record: LogRecord) => string | number | null };

export interface CompiledFormat {
  readonly segments: readonly Segment[];
  /** The text when there is no operator in it, else null. */
  readonly constant: string | null;
  /** Operators that give nothing leave nothing, as in added headers. */
  evaluate(record: LogRecord): string;
}

/**
 * Compiles a format string.
 * @throws UserError LOG_FORMAT_INVALID, LOG_UNKNOWN_OPERATOR
 */
export function compileFormat(format: string): CompiledFormat {
  const segments = parseFormat(format).map(
    (token): Segment =>
      token.kind === 'text'
        ? token
        : { kind: 'operator', read: readerOf(compileOperator(token.name, token.parameters), token.maxLength) },
  );
  const constant = segments.every((segment) => segment.kind === 'text');
  return {
    segments,
    constant: constant ? segments.map((segment) => (segment.kind === 'text' ? segment.text : '')).join('') : null,
    evaluate: (record) => segments.map((segment) => textOf(segment, record)).join(''),
  };
}

/**
 * A format string as a function, for values of added headers.
 * @throws UserError LOG_FORMAT_INVALID, LOG_UNKNOWN_OPERATOR
 */
export function compileHeaderFormat(format: string): (record: LogRecord) => string {
  return compileFormat(format).evaluate;
}

function textOf(segment: Segment, record: LogRecord): string {
  return segment.kind === 'text' ? segment.text : String(segment.read(record) ?? '');
}

/** null is "nothing there", whatever the operator's own sign for it. */
function readerOf(operator: Operator, maxLength: number | null): (record: LogRecord) => string | number | null {
  if (operator.kind === 'number') {
    const { read } = operator;
    return (record) => {
      const value = read(record);
      return value < 0 ? null : value;
    };
  }
  const { read } = operator;
  if (operator.keepsEmpty === true) return (record) => read(record)?.slice(0, maxLength ?? undefined) ?? null;
  if (maxLength === null) return (record) => read(record) || null;
  return (record) => read(record)?.slice(0, maxLength) || null;
}

/** A program that writes one line, line end included. */
export type LineWriter = (line: LineBuffer, record: LogRecord) => void;

const encoder = new TextEncoder();

/** A text format as a line: what is missing is `-`, or nothing with omitEmpty. */
export function compileTextLine(format: string, omitEmpty = false): LineWriter {
  const steps = compileFormat(format).segments.map((segment): LineWriter => {
    if (segment.kind === 'text') {
      const bytes = encoder.encode(segment.text);
      return (line) => line.raw(bytes);
    }
    const missing = encoder.encode(omitEmpty ? '' : '-');
    const { read } = segment;
    return (line, record) => {
      const value = read(record);
      if (value === null) line.raw(missing);
      else if (typeof value === 'number') line.number(value);
      else line.text(value);
    };
  });
  return (line, record) => {
    for (let i = 0; i < steps.length; i++) steps[i]?.(line, record);
  };
}
