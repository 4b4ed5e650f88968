/**
 * `poll.ts HOST PORT METHOD PATH STATUS TIMEOUT_MS`: asks again and again over ONE keep-alive connection until the
 * answer has the wanted status. Prints when that was and whether the connection ever broke, as JSON.
 */
import http from 'node:http';

const [host = '', port = '0', method = 'GET', path = '/', wanted = '200', timeoutMs = '5000'] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const deadline = Date.now() + Number(timeoutMs);
const statuses: Record<string, number> = {};
let connections = 0;

function ask(): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port: Number(port), method, path, agent }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
      response.on('error', reject);
    });
    request.on('socket', () => {
      if (!request.reusedSocket) connections++;
    });
    request.on('error', reject);
    request.end();
  });
}

let seenAt = 0;
let error = '';
try {
  while (seenAt === 0 && Date.now() < deadline) {
    const status = await ask();
    statuses[status] = (statuses[status] ?? 0) + 1;
    if (status === Number(wanted)) seenAt = Date.now();
    await new Promise((r) => setTimeout(r, 20));
  }
} catch (e) {
  error = String(e);
}
console.log(JSON.stringify({ seenAt, statuses, connections, error }));
process.exit(0);
