/** The application behind HTTP/2 under attack, in a thread of its own: `/big` is large, `/hang` is not answered. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { parentPort } from 'node:worker_threads';

const big = Buffer.alloc(256 * 1024, 'z');
const server = http.createServer({ requestTimeout: 0 }, (request, response) => {
  request.on('error', () => undefined);
  response.on('error', () => undefined);
  request.resume();
  if (request.url === '/big') response.end(big);
  else if (request.url !== '/hang') response.end('ok');
});
server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port));
