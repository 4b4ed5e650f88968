/** Filters of access logs: whether a record is written at all. Compiled once, asked once for each record and sink. */
import type { LogRecord } from '../http/request-view.ts';
import type { LogFilterSpec } from '../model/log.ts';
import { compileHeaderMatch } from '../policy/header-match.ts';

export type LogFilter = (record: LogRecord) => boolean;

/** random gives [0, 1). @throws UserError REGEX_INVALID, REGEX_TOO_LARGE */
export function compileLogFilter(spec: LogFilterSpec, random: () => number): LogFilter {
  switch (spec.kind) {
    case 'status':
      return comparison(spec.op, spec.value, (record) => record.status);
    case 'duration':
      return comparison(spec.op, spec.value, (record) => record.durationMs);
    case 'header': {
      const matches = compileHeaderMatch(spec.header);
      return ({ request }) => request !== null && matches(request);
    }
    case 'flags':
      return flagFilter(spec.flags);
    case 'sampled':
      return () => random() < spec.share;
    case 'and': {
      const of = spec.of.map((filter) => compileLogFilter(filter, random));
      return (record) => of.every((keeps) => keeps(record));
    }
    case 'or': {
      const of = spec.of.map((filter) => compileLogFilter(filter, random));
      return (record) => of.some((keeps) => keeps(record));
    }
  }
}

function comparison(op: 'eq' | 'ge' | 'le' | 'ne', value: number, of: (record: LogRecord) => number): LogFilter {
  switch (op) {
    case 'eq':
      return (record) => of(record) === value;
    case 'ne':
      return (record) => of(record) !== value;
    case 'ge':
      return (record) => of(record) >= value;
    case 'le':
      return (record) => of(record) <= value;
  }
}

/** No flags in the list asks for any flag. */
function flagFilter(flags: readonly string[]): LogFilter {
  if (flags.length === 0) return (record) => record.flags !== '';
  const wanted = new Set(flags);
  return (record) => record.flags !== '' && record.flags.split(',').some((flag) => wanted.has(flag));
}
