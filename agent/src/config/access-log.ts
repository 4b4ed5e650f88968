/** Access loggers: file and standard output, text and JSON. The default format is Envoy's. */

import type { JsonObject } from '@bufbuild/protobuf';
import { messageOf } from '@chainmail/runtime';
import type { AccessLog } from '@chainmail/xds/proto/envoy/config/accesslog/v3/accesslog';
import type { SubstitutionFormatString } from '@chainmail/xds/proto/envoy/config/core/v3/substitution_format_string';
import type { FileAccessLog } from '@chainmail/xds/proto/envoy/extensions/access_loggers/file/v3/file';
import type {
  StderrAccessLog,
  StdoutAccessLog,
} from '@chainmail/xds/proto/envoy/extensions/access_loggers/stream/v3/stream';
import { compileLogLine } from '../log/access-log.ts';
import type { AccessLogFormatSpec, AccessLogSpec, JsonLogFields } from '../model/log.ts';
import type { CompileContext } from './compile-context.ts';
import { readDataSource } from './data-source.ts';
import { readLogFilter } from './log-filter.ts';
import { extension, type MessageReader } from './message-reader.ts';

/** Envoy's default line. */
export const defaultLogFormat =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  '%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" ' +
  '"%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n';

export function readAccessLog(r: MessageReader<AccessLog>, context: CompileContext): AccessLogSpec {
  const config = r.take('configType');
  if (config.case === undefined) throw r.invalid('typedConfig', 'is required');
  const spec = r.extension('typedConfig', config.value, [
    extension<FileAccessLog, AccessLogSpec>('envoy.extensions.access_loggers.file.v3.FileAccessLog', (f) => ({
      path: f.take('path'),
      format: fileFormat(f, context),
    })),
    extension<StdoutAccessLog, AccessLogSpec>('envoy.extensions.access_loggers.stream.v3.StdoutAccessLog', (s) => ({
      path: '/dev/stdout',
      format: streamFormat(s, context),
    })),
    extension<StderrAccessLog, AccessLogSpec>('envoy.extensions.access_loggers.stream.v3.StderrAccessLog', (s) => ({
      path: '/dev/stderr',
      format: streamFormat(s, context),
    })),
  ]);
  checkFormat(r, 'typedConfig', spec.format);
  const filter = r.inside('filter', readLogFilter);
  return filter === undefined ? spec : { ...spec, filter };
}

/** An operator that does not exist is refused here, in Envoy's words, and not in a worker. */
export function checkFormat(
  r: { invalid(name: string, reason: string): Error },
  name: string,
  format: AccessLogFormatSpec,
): void {
  try {
    compileLogLine(format);
  } catch (error) {
    throw r.invalid(name, messageOf(error));
  }
}

function fileFormat(r: MessageReader<FileAccessLog>, context: CompileContext): AccessLogFormatSpec {
  const format = r.take('accessLogFormat');
  switch (format.case) {
    case undefined:
      return { kind: 'text', format: defaultLogFormat };
    case 'format':
      return { kind: 'text', format: format.value === '' ? defaultLogFormat : format.value };
    case 'jsonFormat':
    case 'typedJsonFormat':
      return { kind: 'json', fields: jsonFields(r, format.case, format.value), omitEmpty: false };
    case 'logFormat':
      return r.within('logFormat', format.value, (f) => readFormat(f, context));
  }
}

function streamFormat(
  r: MessageReader<StdoutAccessLog> | MessageReader<StderrAccessLog>,
  context: CompileContext,
): AccessLogFormatSpec {
  const format = (r as MessageReader<StdoutAccessLog>).take('accessLogFormat');
  if (format.case === undefined) return { kind: 'text', format: defaultLogFormat };
  return r.within('logFormat', format.value, (f) => readFormat(f, context));
}

export function readFormat(r: MessageReader<SubstitutionFormatString>, context: CompileContext): AccessLogFormatSpec {
  const format = r.take('format');
  const omitEmpty = r.take('omitEmptyValues');
  switch (format.case) {
    case undefined:
      throw r.invalid('format', 'is required');
    case 'textFormat':
      return { kind: 'text', format: format.value };
    case 'textFormatSource':
      return {
        kind: 'text',
        format: r.within('textFormatSource', format.value, (d) => readDataSource(d, context)).toString(),
      };
    case 'jsonFormat':
      // Keys are sorted whatever json_format_options.sort_properties says: an order is no part of an object's meaning.
      r.inside('jsonFormatOptions', (o) => o.take('sortProperties'));
      return { kind: 'json', fields: jsonFields(r, 'jsonFormat', format.value), omitEmpty };
  }
}

function jsonFields(
  r: { at(name: string): string; unsupported(name: string, reason?: string): Error },
  name: string,
  value: JsonObject,
): JsonLogFields {
  const fields = Object.entries(value).map(([key, v]): [string, string | JsonLogFields] => {
    if (typeof v === 'string') return [key, v];
    if (typeof v === 'object' && v !== null && !Array.isArray(v)) return [key, jsonFields(r, name, v)];
    throw r.unsupported(name, `'${key}' must be text or an object`);
  });
  return Object.fromEntries(fields);
}
