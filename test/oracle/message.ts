/** HTTP/1.1 messages as they were on the wire: start line, fields in their order, and the body without its framing. */

export interface Message {
  readonly start: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  readonly trailers: readonly (readonly [name: string, value: string])[];
}

export interface Taken {
  readonly message: Message;
  /** Bytes of the buffer that it took. */
  readonly size: number;
}

type Fields = Message['headers'];

function fieldsOf(lines: readonly string[]): Fields {
  return lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
  });
}

const fieldValue = (fields: Fields, name: string): string | undefined =>
  fields.find(([n]) => n.toLowerCase() === name)?.[1]?.toLowerCase();

interface Body {
  readonly body: string;
  readonly trailers: Fields;
  readonly size: number;
}

/** A chunked body from the start of the text; null while it is incomplete. */
function takeChunked(text: string): Body | null {
  let [body, at] = ['', 0];
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return null;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    const start = lineEnd + 2;
    if (size > 0) {
      if (text.length < start + size + 2) return null;
      body += text.slice(start, start + size);
      at = start + size + 2;
      continue;
    }
    if (text.startsWith('\r\n', start)) return { body, trailers: [], size: start + 2 };
    const end = text.indexOf('\r\n\r\n', start);
    if (end < 0) return null;
    return { body, trailers: fieldsOf(text.slice(start, end).split('\r\n')), size: end + 4 };
  }
}

interface HeadOf {
  readonly start: string;
  readonly headers: Fields;
  readonly rest: string;
  readonly size: number;
}

function takeHead(buffer: Buffer): HeadOf | null {
  const text = buffer.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [start = '', ...lines] = text.slice(0, end).split('\r\n');
  return { start, headers: fieldsOf(lines), rest: text.slice(end + 4), size: end + 4 };
}

function assemble(head: HeadOf, body: Body): Taken {
  const message = { start: head.start, headers: head.headers, body: body.body, trailers: body.trailers };
  return { message, size: head.size + body.size };
}

const empty: Body = { body: '', trailers: [], size: 0 };

function takeSized(rest: string, length: number): Body | null {
  return rest.length < length ? null : { body: rest.slice(0, length), trailers: [], size: length };
}

/** A whole request, or null while it is incomplete. */
export function takeRequest(buffer: Buffer): Taken | null {
  const head = takeHead(buffer);
  if (head === null) return null;
  const length = Number(fieldValue(head.headers, 'content-length') ?? 0);
  const chunked = fieldValue(head.headers, 'transfer-encoding') === 'chunked';
  const body = chunked ? takeChunked(head.rest) : takeSized(head.rest, length);
  return body === null ? null : assemble(head, body);
}

/** A whole response to the method; ended: the peer has closed, so what there is counts as all. */
export function takeResponse(buffer: Buffer, method: string, ended: boolean): Taken | null {
  const head = takeHead(buffer);
  if (head === null) return null;
  const status = Number(head.start.split(' ')[1]);
  if (method === 'CONNECT' && status < 300) return assemble(head, empty);
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return assemble(head, empty);
  const rest: Body = { body: `${head.rest}<closed>`, trailers: [], size: head.rest.length };
  const chunked = fieldValue(head.headers, 'transfer-encoding') === 'chunked';
  const length = fieldValue(head.headers, 'content-length');
  if (!chunked && length === undefined) return ended ? assemble(head, rest) : null;
  const body = chunked ? takeChunked(head.rest) : takeSized(head.rest, Number(length));
  if (body !== null) return assemble(head, body);
  return ended ? assemble(head, rest) : null;
}
