/** A client that sends exactly the bytes it is told to and keeps what comes back. */
import net from 'node:net';
import tls, { type ConnectionOptions } from 'node:tls';

export interface Exchange {
  /** Everything that came back. */
  readonly text: string;
  /** Statuses of the answers, in their order. */
  readonly statuses: readonly number[];
  /** The proxy ended the connection by itself. */
  readonly closed: boolean;
  readonly error: string;
  readonly tookMs: number;
}

export interface Wire {
  /** Ends when this holds of what came; by default with the first whole answer, or the close. */
  readonly until?: (text: string) => boolean;
  /** Bounds the wait; then what came is the result. */
  readonly timeoutMs?: number;
  readonly tls?: ConnectionOptions;
}

const wholeAnswer = (text: string): boolean => {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const length = Number(/^content-length: *(\d+)/im.exec(text.slice(0, end))?.[1] ?? Number.NaN);
  return Number.isNaN(length) ? text.endsWith('0\r\n\r\n') : text.length >= end + 4 + length;
};

/** Sends the pieces, each in a write of its own, and gives what came back. */
export function send(port: number, bytes: string | readonly (string | Buffer)[], wire: Wire = {}): Promise<Exchange> {
  const { until = wholeAnswer, timeoutMs = 8000 } = wire;
  const pieces = typeof bytes === 'string' ? [bytes] : bytes;
  const begun = performance.now();
  return new Promise((resolve) => {
    const target = { port, host: '127.0.0.1' };
    const socket = wire.tls === undefined ? net.connect(target) : tls.connect({ ...target, ...wire.tls });
    let text = '';
    let error = '';
    const done = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      const statuses = [...text.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map((m) => Number(m[1]));
      resolve({ text, statuses, closed, error, tookMs: performance.now() - begun });
    };
    const timer = setTimeout(() => done(false), timeoutMs);
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (until(text)) done(false);
    });
    socket.on('error', (e: Error) => {
      error = e.message;
    });
    socket.on('close', () => done(true));
    socket.once(wire.tls === undefined ? 'connect' : 'secureConnect', () => {
      for (const piece of pieces) socket.write(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece);
    });
  });
}

/** Holds for n whole answers without a body of their own in the count: each has its status line. */
export const answers =
  (n: number) =>
  (text: string): boolean =>
    [...text.matchAll(/HTTP\/1\.1 \d{3}/g)].length >= n && text.includes('\r\n\r\n');
