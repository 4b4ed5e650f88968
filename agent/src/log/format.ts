/**
 * Format strings compiled to lists of segments: once when configuration arrives, then only run. The same list gives a
 * string (added headers) or bytes (log lines).
 */
import type { LogRecord } from '../http/request-view.ts';
import { parseFormat } from './format-parser.ts';
import { type LineBuffer, Piece } from './line-buffer.ts';
import { compileOperator, type Operator, readOperator, Value } from './operators.ts';

/** One piece of a format: text, or an operator with its cut. */
export type Segment =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'operator';
      readonly operator: Operator;
      readonly maxLength: number;
      readonly read: (record: LogRecord) => string | number | null;
    };

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
        : operatorSegment(compileOperator(token.name, token.parameters), token.maxLength ?? Number.MAX_SAFE_INTEGER),
  );
  const constant = segments.every((segment) => segment.kind === 'text');
  return {
    segments,
    constant: constant ? segments.map((segment) => (segment.kind === 'text' ? segment.text : '')).join('') : null,
    evaluate: (record) => segments.map((segment) => textOf(segment, record)).join(''),
  };
}

function operatorSegment(operator: Operator, maxLength: number): Segment {
  const value = new Value();
  const read = (record: LogRecord): string | number | null => {
    readOperator(operator, maxLength, record, value);
    return value.get();
  };
  return { kind: 'operator', operator, maxLength, read };
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

/** A program that writes one line, line end included. */
export type LineWriter = (line: LineBuffer, record: LogRecord) => void;

/** A text format as a line: what is missing is `-`, or nothing with omitEmpty. */
export function compileTextLine(format: string, omitEmpty = false): LineWriter {
  const missing = Piece.of(omitEmpty ? '' : '-');
  const value = new Value();
  const steps = compileFormat(format).segments.map((segment) =>
    segment.kind === 'text' ? { ...segment, piece: Piece.of(segment.text) } : segment,
  );
  return (line, record) => {
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i];
      if (step === undefined) continue;
      if (step.kind === 'text') {
        line.raw(step.piece);
        continue;
      }
      readOperator(step.operator, step.maxLength, record, value);
      writeText(value, missing, line);
    }
  };
}

function writeText(value: Value, missing: Piece, line: LineBuffer): void {
  switch (value.kind) {
    case 'none':
      line.raw(missing);
      return;
    case 'number':
      line.number(value.number);
      return;
    case 'text':
      line.text(value.text);
      return;
    case 'bytes':
      line.textBytes(value.range.bytes, value.range.start, value.range.end);
      return;
  }
}
