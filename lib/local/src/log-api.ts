/** GET /logs: the last `tail` lines of a log file as plain text, and with `follow=1` what comes after. */
import fs from 'node:fs';
import type http from 'node:http';
import { lastLines } from './log-file.ts';

const pollMs = 150;
const chunkBytes = 256 * 1024;
const defaultTail = 2000;

/** What the file holds beyond `from`; starts anew when the file has been cut. */
function readFrom(file: string, from: number): { readonly data: Buffer; readonly next: number } {
  let fd: number;
  try {
    fd = fs.openSync(file, 'r');
  } catch {
    return { data: Buffer.alloc(0), next: 0 };
  }
  try {
    const { size } = fs.fstatSync(fd);
    const start = size < from ? 0 : from;
    const data = Buffer.alloc(Math.min(chunkBytes, size - start));
    const read = fs.readSync(fd, data, 0, data.length, start);
    return { data: data.subarray(0, read), next: start + read };
  } finally {
    fs.closeSync(fd);
  }
}

export function serveLog(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  file: string,
  query: URLSearchParams,
): void {
  const tail = Math.max(0, Number(query.get('tail') ?? defaultTail) || 0);
  let at = fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  const lines = tail === 0 ? [] : lastLines(file, tail, 4 * 1024 * 1024);
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  response.write(lines.map((l) => `${l}\n`).join(''));
  if (query.get('follow') !== '1') {
    response.end();
    return;
  }
  const timer = setInterval(() => {
    if (response.writableNeedDrain) return;
    const { data, next } = readFrom(file, at);
    at = next;
    if (data.length > 0) response.write(data);
  }, pollMs);
  request.on('close', () => clearInterval(timer));
  response.on('close', () => clearInterval(timer));
}
