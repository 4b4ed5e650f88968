/** The HTTP/2 side of the application (prior knowledge): tells what reached it, with a gRPC status in the trailers. */
import http2 from 'node:http2';
import os from 'node:os';

export function startHttp2(port: number): http2.Http2Server {
  const server = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    session.on('error', () => {});
  });
  server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    let bytes = 0;
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'content-type': 'application/json' }, { waitForTrailers: true });
      stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(
        JSON.stringify({ pod: os.hostname(), method: headers[':method'], path: headers[':path'], bytes, headers }),
      );
    });
    stream.resume();
  });
  const close = server.close.bind(server);
  server.close = (done) => {
    for (const session of sessions) session.close();
    return close(done);
  };
  server.listen(port, '::');
  return server;
}
