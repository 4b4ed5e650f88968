/**
 * `node paced.ts PORT PATH RATE SECONDS CONNECTIONS`: requests at an even rate over keep-alive connections, which wrk
 * cannot do. Prints one line of JSON. A request is late from the moment it was due: a proxy that stalls is charged for
 * everything that had to wait for it.
 */
import net from 'node:net';

export interface Paced {
  readonly requests: number;
  readonly errors: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const [port = 0, path = '/', rate = 1000, seconds = 2, connections = 16] = process.argv
  .slice(2)
  .map((a, i) => (i === 1 ? a : Number(a))) as [number, string, number, number, number];
const request = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: paced\r\nAccept: */*\r\n\r\n`;
const headEnd = Buffer.from('\r\n\r\n');

const latencies: number[] = [];
const idle: Client[] = [];
const due: number[] = [];
let errors = 0;

/** One connection with at most one request on it. */
class Client {
  readonly #socket: net.Socket;
  #dueMs = 0;
  #got: Buffer = Buffer.alloc(0);

  constructor() {
    this.#socket = net.connect({ port, host: '127.0.0.1', noDelay: true }, () => this.#free());
    this.#socket.on('data', (data: Buffer) => this.#take(data));
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      if (this.#dueMs > 0) errors++;
    });
  }

  send(dueMs: number): void {
    this.#dueMs = dueMs;
    this.#socket.write(request);
  }

  #free(): void {
    const next = due.shift();
    if (next === undefined) idle.push(this);
    else this.send(next);
  }

  #take(data: Buffer): void {
    this.#got = this.#got.length === 0 ? data : Buffer.concat([this.#got, data]);
    const end = this.#got.indexOf(headEnd);
    if (end < 0) return;
    const head = this.#got.toString('latin1', 0, end);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    if (this.#got.length < end + headEnd.length + length) return;
    this.#got = Buffer.alloc(0);
    latencies.push(performance.now() - this.#dueMs);
    if (!head.startsWith('HTTP/1.1 200')) errors++;
    this.#dueMs = 0;
    this.#free();
  }
}

for (let i = 0; i < connections; i++) new Client();
await new Promise((r) => setTimeout(r, 100));
const begun = performance.now();
const total = rate * seconds;
let sent = 0;
const tick = (): void => {
  const now = performance.now();
  for (; sent < total && begun + (sent * 1000) / rate <= now; sent++) {
    // Timers have steps of a millisecond: what fell due within the step counts from now, what is later from when it was due.
    const dueMs = Math.max(begun + (sent * 1000) / rate, now - 1);
    const client = idle.pop();
    if (client === undefined) due.push(dueMs);
    else client.send(now - dueMs < 1 ? now : dueMs);
  }
  if (sent < total) setTimeout(tick, 1);
  else setTimeout(finish, 300);
};
const finish = (): void => {
  latencies.sort((a, b) => a - b);
  const at = (q: number): number => latencies[Math.floor(latencies.length * q)] ?? Number.NaN;
  const result: Paced = {
    requests: latencies.length,
    errors: errors + total - latencies.length,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
  console.log(JSON.stringify(result));
  process.exit(0);
};
tick();
