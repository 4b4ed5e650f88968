/** Runs the suite's calls in the pod, so that they leave through the pod's agent: `POST /NAME` with JSON in and out. */
import http from 'node:http';
import type { DriverCalls } from './driver-api.ts';
import { httpCalls } from './driver-http.ts';
import { http2Call } from './driver-http2.ts';
import { startLoad, stopLoad } from './driver-load.ts';
import { tcpCall } from './driver-tcp.ts';
import { webSocketCall } from './driver-websocket.ts';

const operations: {
  readonly [K in keyof DriverCalls]: (call: DriverCalls[K]['call']) => Promise<DriverCalls[K]['answer']>;
} = {
  http: httpCalls,
  tcp: tcpCall,
  http2: http2Call,
  websocket: webSocketCall,
  'load-start': startLoad,
  'load-stop': stopLoad,
};

async function run(name: string, body: string): Promise<unknown> {
  const operation = (operations as Record<string, ((call: never) => Promise<unknown>) | undefined>)[name];
  if (operation === undefined) throw new Error(`no operation ${name}`);
  return operation(JSON.parse(body) as never);
}

export function startDriver(port: number): http.Server {
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (c: Buffer) => chunks.push(c));
    request.on('end', () =>
      run((request.url ?? '/').slice(1), Buffer.concat(chunks).toString()).then(
        (answer) => response.end(JSON.stringify(answer)),
        (error: unknown) => response.writeHead(500).end(String(error)),
      ),
    );
  });
  server.requestTimeout = 0;
  server.listen(port, '::');
  return server;
}
