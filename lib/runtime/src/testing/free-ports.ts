/**
 * Ports for processes that a test starts and that must be told theirs. They are below those that connections take for
 * themselves, and each process and thread begins elsewhere, so that nobody takes one before it is used.
 */
import net from 'node:net';
import { threadId } from 'node:worker_threads';

const first = 20_000;
const range = 12_000;
/** Both steps share no divisor with the range: neighbours are far apart. */
let next = (process.pid * 97 + threadId * 1009) % range;

function isFree(port: number): Promise<boolean> {
  const server = net.createServer();
  return new Promise((done) => {
    server.once('error', () => done(false));
    server.listen(port, () => server.close(() => done(true)));
  });
}

/** @throws Error when there are not so many */
export async function freePorts(count: number): Promise<readonly number[]> {
  const found: number[] = [];
  for (let tried = 0; found.length < count && tried < range; tried++) {
    const port = first + next;
    next = (next + 1) % range;
    if (await isFree(port)) found.push(port);
  }
  if (found.length < count) throw new Error(`no ${count} free ports from ${first} on`);
  return found;
}

export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}
