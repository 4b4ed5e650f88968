/**
 * A container's log on disk: appended to by the container itself, cut by us when it grows. Invariant: a log never
 * holds more than about twice the cap, in the file and one predecessor.
 */
import fs from 'node:fs';
import path from 'node:path';

const logCapBytes = 16 * 1024 * 1024;

export class LogFile {
  readonly path: string;
  readonly fd: number;

  constructor(file: string) {
    fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 });
    this.path = file;
    this.fd = fs.openSync(file, 'a', 0o640);
  }

  note(text: string): void {
    fs.writeSync(this.fd, `[meshctl dev] ${text}\n`);
  }

  /** Copies a file above the cap to `.1` and empties it; writers append, so they go on at the start. */
  trim(capBytes: number = logCapBytes): void {
    if (fs.fstatSync(this.fd).size <= capBytes) return;
    fs.copyFileSync(this.path, `${this.path}.1`);
    fs.ftruncateSync(this.fd, 0);
  }

  close(): void {
    fs.closeSync(this.fd);
  }
}

/** The last lines of a log, at most maxBytes of it. */
export function lastLines(file: string, lines: number, maxBytes = 256 * 1024): string[] {
  let fd: number;
  try {
    fd = fs.openSync(file, 'r');
  } catch {
    return [];
  }
  try {
    const { size } = fs.fstatSync(fd);
    const start = Math.max(0, size - maxBytes);
    const buffer = Buffer.alloc(size - start);
    const read = fs.readSync(fd, buffer, 0, buffer.length, start);
    return buffer
      .toString('utf8', 0, read)
      .split('\n')
      .filter((l) => l !== '')
      .slice(-lines);
  } finally {
    fs.closeSync(fd);
  }
}
