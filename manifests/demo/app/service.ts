/**
 * What the demo's small servers share: a listener on PORT, JSON answers, and a control port on the pod's loopback
 * (never reachable from outside the pod) where the demo asks what reached the application.
 */
import http from 'node:http';

export type Handler = (request: http.IncomingMessage, url: URL) => Promise<Answer> | Answer;

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Marks of the demo's probes: any request that carries one and gets this far has passed the agent. */
const markPattern = /mark-[0-9a-f]{16}/g;
const marks = new Set<string>();
const counters = { connections: 0, requests: 0 };

function reply(response: http.ServerResponse, answer: Answer): void {
  const body = `${JSON.stringify(answer.body)}\n`;
  response.writeHead(answer.status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

function listen(port: number, host: string | undefined, handler: Handler, counted: boolean): http.Server {
  const server = http.createServer((request, response) => {
    if (counted) counters.requests++;
    const url = new URL(request.url ?? '/', 'http://pod');
    request.resume();
    Promise.resolve()
      .then(() => handler(request, url))
      .then((answer) => reply(response, answer))
      .catch((error: unknown) => reply(response, { status: 502, body: { error: String(error) } }));
  });
  if (counted) {
    server.on('connection', (socket) => {
      counters.connections++;
      // Raw bytes, before any HTTP parser: a probe that is not HTTP would be seen as well.
      socket.on('data', (chunk: Buffer) => {
        for (const mark of chunk.toString('latin1').match(markPattern) ?? []) marks.add(mark);
      });
    });
  }
  server.listen(port, host);
  return server;
}

/** Serves the application on PORT (8080) and the control interface on 127.0.0.1:9090; stops on SIGTERM. */
export function serve(app: Handler, control: Record<string, () => unknown> = {}): void {
  const servers = [
    listen(
      Number(process.env['PORT'] ?? 8080),
      undefined,
      (r, u) => (u.pathname === '/healthz' ? { status: 200, body: 'ok' } : app(r, u)),
      true,
    ),
    listen(
      9090,
      '127.0.0.1',
      (_request, url) => {
        if (url.pathname === '/seen') return { status: 200, body: { ...counters, marks: [...marks] } };
        const action = control[url.pathname];
        return action === undefined ? { status: 404, body: 'no such control' } : { status: 200, body: action() };
      },
      false,
    ),
  ];
  const stop = (): void => {
    for (const s of servers) s.close();
    setTimeout(() => process.exit(0), 2000).unref();
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

/** One call to another service: its status and its JSON. */
export async function call(url: string, method = 'GET', timeoutMs = 5000): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url, { method, signal: AbortSignal.timeout(timeoutMs) });
  const text = await response.text();
  try {
    return { status: response.status, body: JSON.parse(text) };
  } catch {
    return { status: response.status, body: text.trim() };
  }
}
