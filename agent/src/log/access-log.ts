/**
 * The worker's side of the access log: formats a record straight into the shared ring. Full ring, or a line that cannot
 * be made to fit: dropped and counted, never waited for.
 */
import type { LogRecord } from '../http/request-view.ts';
import type { AccessLogFormatSpec, AccessLogSpec } from '../model/log.ts';
import { workerStat, workerStatBase } from '../stats/layout.ts';
import { compileLogFilter, type LogFilter } from './filter.ts';
import { compileTextLine, type LineWriter } from './format.ts';
import { compileJsonLine } from './json-format.ts';
import { LineBuffer, Piece, uncut } from './line-buffer.ts';
import { maxLineBytes, maxTag, RingWriter } from './ring.ts';

/** Tag of what tells the reader which path a tag stands for: `tag path`, each ended by a NUL. */
export const pathTag = 0;

/** A line that is too long is written again with each value cut to this. */
const shortValue = 128;

export interface AccessLogWriter {
  /** One line for each sink. */
  write(sinks: readonly AccessLogSpec[], record: LogRecord): void;
  /** A line of text, with its line end. */
  writeLine(path: string, text: string): void;
  /** Shows the reader what was written; at the end of each turn. */
  publish(): void;
}

interface Sink {
  readonly tag: number;
  readonly write: LineWriter;
  readonly keeps: LogFilter | null;
}

/**
 * Compiles a format; also how the main thread refuses a bad one before any worker sees it.
 * @throws UserError LOG_FORMAT_INVALID, LOG_UNKNOWN_OPERATOR
 */
export function compileLogLine(format: AccessLogFormatSpec): LineWriter {
  return format.kind === 'text' ? compileTextLine(format.format) : compileJsonLine(format.fields, format.omitEmpty);
}

/**
 * slots: the worker's own, for the counts of lines and drops. random: [0, 1), for logs that take a share. onHalfFull:
 * asks for the drain to come at once.
 */
export function createAccessLogWriter(
  ring: SharedArrayBuffer,
  slots: Float64Array,
  random: () => number = Math.random,
  onHalfFull: () => void = () => {},
): AccessLogWriter {
  const writer = new RingWriter(ring, onHalfFull);
  const line = new LineBuffer(writer.bytes);
  const sinks = new WeakMap<AccessLogSpec, Sink>();
  const tags = new Map<string, number>();
  const count = (slot: number): void => {
    slots[workerStatBase + slot] = (slots[workerStatBase + slot] ?? 0) + 1;
  };

  const putText = (tag: number, text: string): boolean => {
    const piece = Piece.of(text);
    const start = writer.reserve(tag);
    if (start < 0) return false;
    line.begin(start, start + maxLineBytes, uncut);
    line.raw(piece);
    if (line.overflowed) return false;
    writer.commit(line.at);
    return true;
  };

  const put = (tag: number, write: LineWriter, record: LogRecord): boolean => {
    const start = writer.reserve(tag);
    if (start < 0) return false;
    line.begin(start, start + maxLineBytes, uncut);
    write(line, record);
    if (line.overflowed) {
      line.begin(start, start + maxLineBytes, shortValue);
      write(line, record);
      if (line.overflowed) return false;
    }
    writer.commit(line.at);
    return true;
  };

  /** A path gets a tag when its announcement has found room. */
  const tagOf = (path: string): number | null => {
    const known = tags.get(path);
    if (known !== undefined) return known;
    const tag = tags.size + 1;
    if (tag > maxTag || !putText(pathTag, `${tag} ${path}\0`)) return null;
    tags.set(path, tag);
    return tag;
  };

  const sinkOf = (spec: AccessLogSpec): Sink | null => {
    const known = sinks.get(spec);
    if (known !== undefined) return known;
    const tag = tagOf(spec.path);
    if (tag === null) return null;
    const keeps = spec.filter ? compileLogFilter(spec.filter, random) : null;
    const sink: Sink = { tag, write: compileLogLine(spec.format), keeps };
    sinks.set(spec, sink);
    return sink;
  };

  const told = (written: boolean): void =>
    count(written ? workerStat.at.access_log_lines : workerStat.at.access_log_dropped);

  return {
    publish: () => writer.publish(),
    writeLine(path, text) {
      const tag = tagOf(path);
      told(tag !== null && putText(tag, text));
    },
    write(specs, record) {
      for (let i = 0; i < specs.length; i++) {
        const spec = specs[i];
        const sink = spec === undefined ? null : sinkOf(spec);
        if (sink !== null && sink.keeps !== null && !sink.keeps(record)) continue;
        told(sink !== null && put(sink.tag, sink.write, record));
      }
    },
  };
}
