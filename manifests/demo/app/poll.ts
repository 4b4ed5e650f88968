/**
 * `poll.ts HOST PORT METHOD PATH STATUS TIMEOUT_MS`: asks again and again over ONE keep-alive connection until ten
 * answers in a row have the wanted status, so that every replica has agreed. Prints when the first of them came and
 * whether the connection ever broke, as JSON.
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

const enough = 10;
let seenAt = 0;
let inARow = 0;
let error = '';
try {
  while (inARow < enough && Date.now() < deadline) {
    const status = await ask();
    statuses[status] = (statuses[status] ?? 0) + 1;
    inARow = status === Number(wanted) ? inARow + 1 : 0;
    if (inARow === 1) seenAt = Date.now();
    await new Promise((r) => setTimeout(r, 20));
  }
} catch (e) {
  error = String(e);
}
console.log(JSON.stringify({ seenAt: inARow < enough ? 0 : seenAt, statuses, connections, error }));
process.exit(0);
