/** local_reply_config: mappers by access-log filters, and the format of bodies. */

import type { SubstitutionFormatString } from '@chainmail/xds/proto/envoy/config/core/v3/substitution_format_string';
import type {
  LocalReplyConfig,
  ResponseMapper,
} from '@chainmail/xds/proto/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import type { BodyFormatSpec, LocalRepliesSpec, ReplyMapperSpec } from '../model/http.ts';
import { checkFormat, readFormat } from './access-log.ts';
import type { CompileContext } from './compile-context.ts';
import { readDataSource } from './data-source.ts';
import { checkOperators, readHeaderAdd } from './header-mutations.ts';
import { readLogFilter } from './log-filter.ts';
import type { MessageReader } from './message-reader.ts';
import { replyStatusFault } from './reply-status.ts';

export function readLocalReplies(r: MessageReader<LocalReplyConfig>, context: CompileContext): LocalRepliesSpec {
  return {
    mappers: r.each('mappers', (m) => readMapper(m, context)),
    format: r.inside('bodyFormat', (f) => readBodyFormat(f, context)) ?? null,
  };
}

function readMapper(r: MessageReader<ResponseMapper>, context: CompileContext): ReplyMapperSpec {
  const responseAdd = r.each('headersToAdd', readHeaderAdd);
  checkOperators(r, responseAdd);
  const status = r.take('statusCode') ?? null;
  const fault = status === null ? '' : replyStatusFault(status);
  if (fault !== '') throw r.invalid('statusCode', fault);
  return {
    filter: r.required('filter', readLogFilter),
    status,
    body: r.inside('body', (d) => readDataSource(d, context))?.toString() ?? null,
    format: r.inside('bodyFormatOverride', (f) => readBodyFormat(f, context)) ?? null,
    headers: { requestAdd: [], requestRemove: [], responseAdd, responseRemove: [] },
  };
}

function readBodyFormat(r: MessageReader<SubstitutionFormatString>, context: CompileContext): BodyFormatSpec {
  const contentType = r.take('contentType');
  if (/[\r\n\0]/.test(contentType)) throw r.invalid('contentType', 'must be one line');
  const format = readFormat(r, context);
  checkFormat(r, 'format', format);
  return { contentType, format };
}
