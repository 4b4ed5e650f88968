/**
 * `load.ts URL PER_SECOND`: GET and POST in turn, at an even pace, until standard input ends; then one line of JSON.
 * Each POST has an id of its own and is never repeated here, so that whoever sees an id twice has repeated it.
 */
import { randomUUID } from 'node:crypto';
import http from 'node:http';

const [url = '', perSecond = '50'] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: 20 });

const failures: string[] = [];
const posted: string[] = [];
let answered = 0;
let sent = 0;
const open = new Set<Promise<void>>();

function request(method: string, id: string): Promise<void> {
  return new Promise((resolve) => {
    const fail = (why: string): void => {
      failures.push(`${new Date().toISOString()} ${method} ${why}`);
      resolve();
    };
    const headers = method === 'POST' ? { 'x-id': id, 'content-length': 5 } : {};
    const r = http.request(url, { method, agent, headers, timeout: 15_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.on('error', (error) => fail(error.message));
      response.on('end', () => {
        if (response.statusCode !== 200) return fail(`${response.statusCode} ${text.slice(0, 200)}`);
        answered++;
        if (method === 'POST') posted.push(id);
        resolve();
      });
    });
    r.on('timeout', () => r.destroy(new Error('timeout')));
    r.on('error', (error) => fail(error.message));
    r.end(method === 'POST' ? 'hello' : undefined);
  });
}

const timer = setInterval(() => {
  const method = sent++ % 2 === 0 ? 'GET' : 'POST';
  const one = request(method, randomUUID());
  open.add(one);
  one.then(() => open.delete(one));
}, 1000 / Number(perSecond));

process.stdin.resume();
process.stdin.on('end', async () => {
  clearInterval(timer);
  await Promise.all(open);
  console.log(JSON.stringify({ sent, answered, failures, posted }));
  process.exit(0);
});
