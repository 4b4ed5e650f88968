/** local_reply_config: what becomes of an answer in the agent's own name before it is built. First fitting mapper wins. */

import { compileLogFilter, type LogFilter } from '../log/filter.ts';
import { compileFormat } from '../log/format.ts';
import { compileJsonLine } from '../log/json-format.ts';
import { LineBuffer } from '../log/line-buffer.ts';
import type { BodyFormatSpec, LocalRepliesSpec, ReplyMapperSpec } from '../model/http.ts';
import { compileEdits, type FormatCompiler, type HeaderEdits } from './header-mutations.ts';
import type { LocalReply } from './local-reply.ts';
import type { LogRecord } from './request-view.ts';

/** Longest body that a JSON format may make; a longer one is left as it was. */
const maxJsonBytes = 16_384;

interface Format {
  readonly contentType: string;
  /** Null when it does not fit. */
  readonly text: (record: LogRecord) => string | null;
}

interface Mapper {
  readonly fits: LogFilter;
  readonly spec: ReplyMapperSpec;
  readonly format: Format | null;
  readonly edits: readonly HeaderEdits[] | null;
}

export interface RewrittenReply {
  readonly reply: LocalReply;
  readonly edits: readonly HeaderEdits[] | null;
}

/** What a record lets be set while its answer is made. */
export interface ReplyRecord extends LogRecord {
  status: number;
  localReplyBody: string;
}

export class LocalReplies {
  readonly #mappers: readonly Mapper[];
  readonly #format: Format | null;

  /** @throws UserError for a format or expression that does not compile */
  constructor(spec: LocalRepliesSpec, compileHeader: FormatCompiler, random: () => number) {
    this.#format = spec.format === null ? null : compileBody(spec.format);
    this.#mappers = spec.mappers.map((mapper) => ({
      fits: compileLogFilter(mapper.filter, random),
      spec: mapper,
      format: mapper.format === null ? null : compileBody(mapper.format),
      edits: compileEdits([mapper.headers], 'response', compileHeader),
    }));
  }

  rewrite(record: ReplyRecord, reply: LocalReply): RewrittenReply {
    record.status = reply.status;
    const mapper = this.#mappers.find(({ fits }) => fits(record));
    const status = mapper?.spec.status ?? reply.status;
    record.status = status;
    const body = mapper?.spec.body ?? reply.body;
    record.localReplyBody = body;
    const format = mapper?.format ?? this.#format;
    const text = format === null ? null : format.text(record);
    const made = text === null || format === null ? { body } : { body: text, contentType: format.contentType };
    return { reply: { ...reply, status, ...made }, edits: mapper?.edits ?? null };
  }
}

function compileBody({ format, contentType }: BodyFormatSpec): Format {
  if (format.kind === 'json') {
    const write = compileJsonLine(format.fields, format.omitEmpty);
    const bytes = Buffer.alloc(maxJsonBytes);
    const line = new LineBuffer(bytes);
    const text = (record: LogRecord): string | null => {
      line.begin(0, maxJsonBytes, Number.MAX_SAFE_INTEGER);
      write(line, record);
      return line.overflowed ? null : bytes.toString('utf8', 0, line.at);
    };
    return { contentType: contentType || 'application/json', text };
  }
  const { segments } = compileFormat(format.format);
  const text = (record: LogRecord): string =>
    segments.map((s) => (s.kind === 'text' ? s.text : String(s.read(record) ?? '-'))).join('');
  return { contentType: contentType || 'text/plain', text };
}
