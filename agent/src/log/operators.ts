/**
 * Envoy's command operators: a name and parameters compiled once into what is to be read; a name or parameter that is not
 * known is refused here, when configuration arrives. Header values are read as the bytes that came.
 */
import os from 'node:os';
import { UserError } from '@chainmail/runtime/errors';
import { camelGrpcStatus, snakeGrpcStatus } from '../http/grpc-status.ts';
import { ByteRange, type LogRecord } from '../http/request-view.ts';
import { type HeaderName, headerName } from '../http1/known-headers.ts';
import { queryParameter } from '../route/query-match.ts';
import { type NumberField, numberFields, numberOf, type StringField, stringFields, stringOf } from './record-fields.ts';
import { compileTimeFormat } from './time-format.ts';

/** Where a value comes from. `next` is asked when there is none, as in `REQ(X?Y)`. */
type Source =
  | { readonly kind: 'number'; readonly field: NumberField }
  | { readonly kind: 'string'; readonly field: StringField }
  | { readonly kind: 'request-header'; readonly name: HeaderName; readonly next: Source | null }
  | { readonly kind: 'response-header'; readonly name: HeaderName; readonly next: Source | null }
  | {
      readonly kind: 'computed';
      readonly read: (record: LogRecord) => string | null;
      readonly next: Source | null;
      /** Nothing is a value too. */
      readonly keepsEmpty: boolean;
    };

export type Operator = Source;

/** What an operator has given: one for each line writer, used again for value after value. */
export class Value {
  kind: 'none' | 'number' | 'text' | 'bytes' = 'none';
  number = 0;
  text = '';
  /** Latin1. */
  readonly range = new ByteRange();

  get(): string | number | null {
    switch (this.kind) {
      case 'none':
        return null;
      case 'number':
        return this.number;
      case 'text':
        return this.text;
      case 'bytes':
        return this.range.text();
    }
  }
}

/** Reads the operator's value; maxLength cuts texts to so many characters. */
export function readOperator(operator: Operator, maxLength: number, record: LogRecord, into: Value): void {
  into.kind = 'none';
  switch (operator.kind) {
    case 'number':
      into.number = numberOf(operator.field, record);
      if (into.number >= 0) into.kind = 'number';
      return;
    case 'string':
      takeText(stringOf(operator.field, record), maxLength, false, into);
      return;
    case 'request-header':
      if (record.request?.locate(operator.name, into.range) === true) takeRange(maxLength, into);
      else if (operator.next !== null) readOperator(operator.next, maxLength, record, into);
      return;
    case 'response-header':
      if (record.locateResponse(operator.name, into.range)) takeRange(maxLength, into);
      else if (operator.next !== null) readOperator(operator.next, maxLength, record, into);
      return;
    case 'computed': {
      const text = operator.read(record);
      if (text === null && operator.next !== null) readOperator(operator.next, maxLength, record, into);
      else takeText(text, maxLength, operator.keepsEmpty, into);
    }
  }
}

function takeText(text: string | null, maxLength: number, keepsEmpty: boolean, into: Value): void {
  if (text === null || (text === '' && !keepsEmpty)) return;
  into.text = text.length > maxLength ? text.slice(0, maxLength) : text;
  if (into.text !== '' || keepsEmpty) into.kind = 'text';
}

function takeRange(maxLength: number, into: Value): void {
  const { range } = into;
  if (range.end - range.start > maxLength) range.end = range.start + maxLength;
  if (range.end > range.start) into.kind = 'bytes';
}

const computed = (
  read: (record: LogRecord) => string | null,
  next: Source | null = null,
  keepsEmpty = false,
): Source => ({ kind: 'computed', read, next, keepsEmpty });

const withParameters: Readonly<Record<string, (parameters: string, operator: string) => Operator>> = {
  START_TIME: (format) => {
    const show = compileTimeFormat(format);
    return computed((r) => show(r.startTimeMs));
  },
  EMIT_TIME: (format) => {
    const show = compileTimeFormat(format);
    return computed((r) => show(r.startTimeMs + Math.max(0, r.durationMs)));
  },
  REQ: (names, operator) => eitherOf(names, operator, requestHeader),
  RESP: (names, operator) =>
    eitherOf(names, operator, (name, next) => ({ kind: 'response-header', name: headerName(name), next })),
  QUERY_PARAM: (name) => computed((r) => (r.request === null ? null : queryParameter(r.request.path, name))),
  TRAILER: (names, operator) =>
    eitherOf(names, operator, (name, next) => computed((r) => r.responseTrailer?.(name) ?? null, next)),
  GRPC_STATUS: compileGrpcStatus,
  HOSTNAME: () => {
    const name = os.hostname();
    return computed(() => name);
  },
};

/** Without parameters, and not a plain field of the record. */
const withoutParameters: Readonly<Record<string, Operator>> = {
  LOCAL_REPLY_BODY: computed((r) => r.localReplyBody ?? null, null, true),
};

/** Operators that make no sense without parameters. */
const parametersRequired: ReadonlySet<string> = new Set(['REQ', 'RESP', 'TRAILER', 'QUERY_PARAM']);

const plain: ReadonlyMap<string, Operator> = new Map([
  ...numberFields.map((field) => [field, { kind: 'number', field }] as const),
  ...stringFields.map((field) => [field, { kind: 'string', field }] as const),
  ...Object.entries(withoutParameters),
]);

/**
 * Finds what an operator reads.
 * @throws UserError LOG_UNKNOWN_OPERATOR, LOG_FORMAT_INVALID
 */
export function compileOperator(name: string, parameters: string | null): Operator {
  const fixed = plain.get(name);
  if (fixed !== undefined) {
    if (parameters !== null) throw wrongParameters(name, `takes no parameters, but has (${parameters})`);
    return fixed;
  }
  const made = Object.hasOwn(withParameters, name) ? withParameters[name] : undefined;
  if (made === undefined) {
    const names = [...plain.keys(), ...Object.keys(withParameters)].toSorted().join(' ');
    throw new UserError('LOG_UNKNOWN_OPERATOR', `Not supported field in StreamInfo: ${name}`, {
      hint: `known: ${names}`,
    });
  }
  if (parametersRequired.has(name) && (parameters === null || parameters === '')) {
    throw wrongParameters(name, 'needs a name in parentheses');
  }
  return made(parameters ?? '', name);
}

/** `X?Y`: Y when X is not there. */
function eitherOf(names: string, operator: string, reader: (name: string, next: Source | null) => Source): Operator {
  const [first = '', second, ...more] = names.toLowerCase().split('?');
  if (more.length > 0 || first === '' || second === '') throw wrongParameters(operator, 'takes NAME or NAME?OTHER');
  return reader(first, second === undefined ? null : reader(second, null));
}

function compileGrpcStatus(form: string, operator: string): Operator {
  switch (form) {
    case '':
    case 'CAMEL_STRING':
      return computed((r) => grpcStatusText(r, camelGrpcStatus));
    case 'SNAKE_STRING':
      return computed((r) => grpcStatusText(r, snakeGrpcStatus));
    case 'NUMBER':
      return { kind: 'number', field: 'GRPC_STATUS_NUMBER' };
    default:
      throw wrongParameters(operator, `takes CAMEL_STRING, SNAKE_STRING or NUMBER, not ${form}`);
  }
}

function grpcStatusText(record: LogRecord, text: (code: number) => string): string | null {
  const code = numberOf('GRPC_STATUS_NUMBER', record);
  return code < 0 ? null : text(code);
}

/** The path before a rewrite is known to the record, not to the request as it came. */
function requestHeader(name: string, next: Source | null): Source {
  switch (name) {
    case 'x-envoy-original-path':
      return computed(pathBeforeRewrite, next);
    case ':method':
      return computed((r) => (r.request === null ? null : r.request.method), next);
    case ':scheme':
      return computed((r) => (r.request === null ? null : r.request.header(':scheme')), next);
    default:
      return { kind: 'request-header', name: headerName(name), next };
  }
}

function pathBeforeRewrite({ request, rewrittenFrom }: LogRecord): string | null {
  return request === null || rewrittenFrom === '' || rewrittenFrom === request.path ? null : rewrittenFrom;
}

function wrongParameters(name: string, what: string): UserError {
  return new UserError('LOG_FORMAT_INVALID', `%${name}% ${what}`, {
    hint: 'see the access log documentation of Envoy',
  });
}
