/** Node's own clients and servers of both HTTP versions, behind one face: what a combination is tested with. */
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';

export type Version = 'http1' | 'http2';

export interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | readonly string[];
  readonly trailers?: Readonly<Record<string, string>>;
}

export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  readonly trailers: Readonly<Record<string, string | string[] | undefined>>;
  readonly informational: readonly number[];
}

/** What the application does with a request once all of it is there. */
export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly trailers?: Readonly<Record<string, string>>;
  /** 103 goes first. */
  readonly hints?: boolean;
  /** Cut in the middle of the body. */
  readonly cut?: boolean;
}

export interface Received {
  readonly version: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  readonly trailers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface App {
  readonly port: number;
  readonly received: Received[];
  close(): Promise<void>;
}

type Request = http.IncomingMessage | http2.Http2ServerRequest;
type Response = http.ServerResponse | http2.Http2ServerResponse;

/** An application that notes what it gets and answers as it is told. */
export async function startApp(version: Version, reply: (request: Received) => Reply): Promise<App> {
  const received: Received[] = [];
  const serve = (req: Request, res: Response): void => {
    const chunks: Buffer[] = [];
    req.on('data', (c: Buffer) => chunks.push(c));
    req.on('error', () => {});
    res.on('error', () => {});
    req.on('end', () => {
      const got: Received = {
        version: req.httpVersion,
        method: req.method ?? '',
        path: req.url ?? '',
        headers: req.headers,
        body: Buffer.concat(chunks).toString('latin1'),
        trailers: req.trailers,
      };
      received.push(got);
      answer(res, reply(got));
    });
  };
  const server = version === 'http1' ? http.createServer(serve) : http2.createServer(serve);
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (s: http2.ServerHttp2Session) => sessions.add(s));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    received,
    close: () =>
      new Promise((resolve) => {
        for (const s of sessions) s.destroy();
        if (server instanceof http.Server) server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

function answer(res: Response, r: Reply): void {
  if (r.hints === true) {
    if (res instanceof http.ServerResponse) res.writeEarlyHints({ link: '</a>; rel=preload' });
    else res.stream.additionalHeaders({ ':status': 103, link: '</a>; rel=preload' });
  }
  const headers: Record<string, string> = { ...r.headers };
  if (r.trailers !== undefined && res instanceof http.ServerResponse)
    headers['trailer'] = Object.keys(r.trailers).join();
  if (res instanceof http.ServerResponse) res.writeHead(r.status ?? 200, headers);
  else res.writeHead(r.status ?? 200, headers);
  if (r.cut === true) {
    (res as http.ServerResponse).write(r.body ?? '');
    setTimeout(() => {
      if (res instanceof http.ServerResponse) res.socket?.resetAndDestroy();
      else res.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
    }, 20);
    return;
  }
  if (r.trailers !== undefined) {
    (res as http.ServerResponse).write(r.body ?? '');
    (res as http.ServerResponse).addTrailers(r.trailers);
    res.end();
    return;
  }
  res.end(r.body ?? '');
}

/** A client of one version; rejects when the answer is cut. */
export interface Client {
  ask(asked: Asked): Promise<Answered>;
  close(): void;
}

export function connect(version: Version, port: number): Client {
  return version === 'http1' ? new Http1Client(port) : new Http2Client(port);
}

class Http1Client implements Client {
  readonly #port: number;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 50 });

  constructor(port: number) {
    this.#port = port;
  }

  ask(asked: Asked): Promise<Answered> {
    return new Promise((resolve, reject) => {
      const informational: number[] = [];
      const req = http.request({
        port: this.#port,
        agent: this.#agent,
        method: asked.method ?? 'GET',
        path: asked.path ?? '/',
        headers: { host: 'app.example', ...asked.headers },
      });
      req.on('information', (i) => informational.push(i.statusCode));
      req.on('error', reject);
      req.on('response', (res) => {
        let body = '';
        res.setEncoding('latin1');
        res.on('data', (d: string) => {
          body += d;
        });
        res.on('error', reject);
        res.on('end', () =>
          resolve({ status: res.statusCode ?? 0, headers: res.headers, body, trailers: res.trailers, informational }),
        );
      });
      send(req, asked);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

class Http2Client implements Client {
  readonly #session: http2.ClientHttp2Session;

  constructor(port: number) {
    this.#session = http2.connect(`http://127.0.0.1:${port}`);
    this.#session.on('error', () => {});
  }

  ask(asked: Asked): Promise<Answered> {
    return new Promise((resolve, reject) => {
      const informational: number[] = [];
      const empty = asked.body === undefined && asked.trailers === undefined;
      const req = this.#session.request(
        { ':method': asked.method ?? 'GET', ':path': asked.path ?? '/', ':authority': 'app.example', ...asked.headers },
        { endStream: empty, waitForTrailers: asked.trailers !== undefined },
      );
      let head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
      let trailers: http2.IncomingHttpHeaders = {};
      let body = '';
      req.setEncoding('latin1');
      req.on('headers', (h) => informational.push(h[':status'] ?? 0));
      req.on('wantTrailers', () => req.sendTrailers(asked.trailers ?? {}));
      req.on('response', (h) => {
        head = h;
      });
      req.on('trailers', (h) => {
        trailers = h;
      });
      req.on('data', (d: string) => {
        body += d;
      });
      req.on('error', reject);
      req.on('end', () => {
        const { ':status': status = 0, ...headers } = head;
        if (req.rstCode !== 0) reject(new Error(`cut with ${req.rstCode}`));
        else resolve({ status, headers, body, trailers, informational });
      });
      if (!empty) send(req, asked);
    });
  }

  close(): void {
    this.#session.destroy();
  }
}

function send(req: http.ClientRequest | http2.ClientHttp2Stream, { body, trailers }: Asked): void {
  const parts = body === undefined ? [] : typeof body === 'string' ? [body] : body;
  for (const part of parts) req.write(Buffer.from(part, 'latin1'));
  if (trailers !== undefined && req instanceof http.ClientRequest) req.addTrailers(trailers);
  req.end();
}
