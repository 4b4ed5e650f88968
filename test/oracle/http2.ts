/** HTTP/2 at either end of a proxy under test, with Node's own codec; messages in the form of message.ts. */
import http2 from 'node:http2';
import type { Outcome } from './ask.ts';
import { type Answer, type Case, caseHeader, plain } from './case.ts';
import type { Message } from './message.ts';

type Fields = Message['headers'];

interface Parsed {
  readonly start: string;
  readonly fields: Fields;
  readonly body: string;
  readonly trailers: Fields;
}

const fieldOf = (line: string): readonly [string, string] => {
  const colon = line.indexOf(':', 1);
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
};

/** `start line, fields, empty line, body`; what stands behind a second empty line are trailers. */
function parse(text: string): Parsed {
  const [head = '', body = '', trailers = ''] = text.replaceAll('\r\n', '\n').split('\n\n');
  const [start = '', ...lines] = head.split('\n');
  const fields = lines.filter((l) => l !== '').map(fieldOf);
  return {
    start,
    fields,
    body,
    trailers: trailers
      .split('\n')
      .filter((l) => l !== '')
      .map(fieldOf),
  };
}

function pairs(raw: readonly string[]): Fields {
  const fields: [string, string][] = [];
  for (let i = 0; i < raw.length; i += 2) fields.push([raw[i] ?? '', raw[i + 1] ?? '']);
  return fields;
}

const record = (fields: Fields): http2.OutgoingHttpHeaders => {
  const out: Record<string, string | string[]> = {};
  for (const [name, value] of fields) {
    const before = out[name];
    out[name] = before === undefined ? value : [before, value].flat();
  }
  return out;
};

/** Pseudo-headers by their names: their order means nothing. */
const sorted = (fields: Fields): Fields => [
  ...fields.filter(([n]) => n.startsWith(':')).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  ...fields.filter(([n]) => !n.startsWith(':')),
];

/** Sends one case over a connection of its own. `@` in its text names the case. */
export function askHttp2(port: number, test: Case, key: string): Promise<Outcome> {
  const { start, fields, body, trailers } = parse(test.send.replaceAll('@', `${caseHeader}: ${key}\n`));
  const [method = 'GET', path = '/'] = start.split(' ');
  return new Promise((done) => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    const responses: Message[] = [];
    let connection: Outcome['connection'] | `reset ${number}` = 'open';
    let head: Fields | null = null;
    let [text, ended]: [string, Fields] = ['', []];
    const finish = (): void => {
      clearTimeout(timer);
      if (head !== null) responses.push({ start: 'HTTP/2', headers: sorted(head), body: text, trailers: ended });
      session.destroy();
      done({ responses, rest: '', connection: connection as Outcome['connection'] });
    };
    const timer = setTimeout(finish, test.waitMs ?? 5000);
    session.on('error', () => {
      connection = 'closed';
    });
    session.on('goaway', () => {
      if (connection === 'open') connection = 'closed';
    });
    const pseudo = path === '' ? {} : { ':path': path };
    const request = session.request(
      { ':method': method, ':scheme': 'http', ...pseudo, ...record(fields) } as http2.OutgoingHttpHeaders,
      { endStream: body === '' && trailers.length === 0, waitForTrailers: trailers.length > 0 },
    );
    request.on('headers', (_h, _f, raw: readonly string[] = []) =>
      responses.push({ start: 'HTTP/2', headers: sorted(pairs(raw)), body: '', trailers: [] }),
    );
    request.on('response', (_h, _f, raw: readonly string[] = []) => {
      head = pairs(raw);
    });
    request.on('trailers', (_h, _f, raw: readonly string[] = []) => {
      ended = pairs(raw);
    });
    request.on('wantTrailers', () => request.sendTrailers(record(trailers)));
    request.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    request.on('error', () => {});
    request.on('close', () => {
      if (request.rstCode !== 0 && connection === 'open') connection = `reset ${request.rstCode}`;
      setTimeout(finish, 50);
    });
    if (body !== '' || trailers.length > 0) request.end(Buffer.from(body, 'latin1'));
  });
}

/** The server behind a proxy, for groups whose upstream speaks HTTP/2. */
export class Http2Upstream {
  readonly server: http2.Http2Server;
  readonly #cases: ReadonlyMap<string, Case>;
  readonly #seen: Map<string, Message[]>;
  readonly #sessions = new Set<http2.ServerHttp2Session>();

  constructor(cases: ReadonlyMap<string, Case>, seen: Map<string, Message[]>) {
    this.#cases = cases;
    this.#seen = seen;
    this.server = http2.createServer({ settings: { enableConnectProtocol: true } });
    this.server.on('session', (s) => {
      this.#sessions.add(s);
      s.on('error', () => {});
    });
    this.server.on('stream', (stream: http2.ServerHttp2Stream, _h, _f, raw: readonly string[] = []) => {
      this.#serve(stream, sorted(pairs(raw)));
    });
  }

  close(): void {
    for (const s of this.#sessions) s.destroy();
    this.server.close();
  }

  #serve(stream: http2.ServerHttp2Stream, headers: Fields): void {
    let [body, trailers]: [string, Fields] = ['', []];
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => {
      body += chunk.toString('latin1');
    });
    stream.on('trailers', (_h, _f, raw: readonly string[] = []) => {
      trailers = pairs(raw);
    });
    stream.on('end', () => this.#answer(stream, { start: 'HTTP/2', headers, body, trailers }));
  }

  #answer(stream: http2.ServerHttp2Stream, message: Message): void {
    const key = message.headers.find(([n]) => n === caseHeader)?.[1] ?? '';
    const before = this.#seen.get(key) ?? [];
    this.#seen.set(key, [...before, message]);
    const answers = this.#cases.get(key)?.answers ?? [plain];
    const answer: Answer = answers[before.length] ?? answers.at(-1) ?? plain;
    if (typeof answer === 'string') this.#send(stream, answer);
    else if (answer.ending === 'reset') stream.close(answer.code ?? http2.constants.NGHTTP2_INTERNAL_ERROR);
    else if (answer.ending === 'fin') stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
  }

  #send(stream: http2.ServerHttp2Stream, answer: string): void {
    const { start, fields, body, trailers } = parse(answer);
    const status = Number(start.split(' ')[1]);
    const ends = body === '' && trailers.length === 0;
    stream.respond({ ':status': status, ...record(fields) }, { endStream: ends, waitForTrailers: trailers.length > 0 });
    if (ends) return;
    stream.on('wantTrailers', () => stream.sendTrailers(record(trailers)));
    stream.end(Buffer.from(body, 'latin1'));
  }
}
