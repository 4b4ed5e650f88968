/** Requests over one HTTP/2 connection (prior knowledge), all at once, with everything that came back. */
import http2 from 'node:http2';
import type { Http2Answer, Http2Call } from './driver-api.ts';
import { fill } from './pattern.ts';

const timeoutMs = 20_000;

function ask(session: http2.ClientHttp2Session, call: Http2Call, path: string): Promise<Http2Answer> {
  return new Promise((done) => {
    const { bodyBytes = 0 } = call;
    const stream = session.request(
      { ':method': call.method ?? 'GET', ':path': path, ...call.headers },
      { endStream: bodyBytes === 0, signal: AbortSignal.timeout(timeoutMs) },
    );
    let [status, body, error] = [0, '', ''];
    let trailers: Readonly<Record<string, string | readonly string[] | undefined>> = {};
    stream.on('response', (head) => {
      status = head[':status'] ?? 0;
    });
    stream.on('trailers', (fields) => {
      trailers = fields as typeof trailers;
    });
    stream.on('data', (chunk: Buffer) => {
      body += chunk.toString('latin1');
    });
    stream.on('error', (e) => {
      error = e.message;
    });
    stream.on('close', () => done({ status, body, trailers, error }));
    if (bodyBytes > 0) stream.end(fill(0, bodyBytes));
  });
}

export async function http2Call(call: Http2Call): Promise<readonly Http2Answer[]> {
  const session = http2.connect(call.url);
  session.on('error', () => {});
  try {
    return await Promise.all(call.paths.map((path) => ask(session, call, path)));
  } finally {
    session.destroy();
  }
}
