/**
 * One look at one host: a connection of its own, HTTP/1.1 or TCP, and a verdict. The stream is closed with the verdict;
 * nothing is called back after it. Time limits are the caller's.
 */
import type { HttpProbeSpec, TcpProbeSpec } from '../model/health-check.ts';
import {
  type CloseReason,
  readCapacity,
  readEof,
  readHeadroom,
  type Stream,
  type StreamHandler,
} from '../net/stream.ts';

/** refused: the host answered and said no; network: it could not be asked. */
export type ProbeVerdict = 'passed' | 'refused' | 'retriable' | 'network';

/** status: of HTTP; 0 without one. */
export type TellVerdict = (verdict: ProbeVerdict, status: number) => void;

export interface ProbeTarget {
  /** Host, or :authority. */
  readonly host: string;
  readonly secure: boolean;
  readonly timeoutMs: number;
}

export interface Probe {
  start(dial: (handler: StreamHandler) => Stream): void;
  /** Gives the check up without a verdict. */
  cancel(): void;
}

export function verdictOf({ expected, retriable }: HttpProbeSpec, status: number): ProbeVerdict {
  const within = (ranges: HttpProbeSpec['expected']): boolean =>
    ranges.some(({ start, end }) => status >= start && status < end);
  if (within(expected)) return 'passed';
  return within(retriable) ? 'retriable' : 'refused';
}

/** Longest answer that is looked at; what a check asks for is in the first bytes. */
const maxBytes = 16_384;
const finalStatus =
  /^(?:HTTP\/1\.[01] 1[0-9]{2}[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n)*HTTP\/1\.[01] ([2-9][0-9]{2})[^\r\n]*\r\n/;

export class HealthProbe implements Probe, StreamHandler {
  readonly #spec: HttpProbeSpec | TcpProbeSpec;
  readonly #buffer: Buffer;
  readonly #request: Buffer;
  readonly #tell: TellVerdict;
  #stream: Stream | null = null;
  #received = '';
  #ended = false;

  /** buffer: the worker's read buffer. */
  constructor(spec: HttpProbeSpec | TcpProbeSpec, target: ProbeTarget, buffer: Buffer, tell: TellVerdict) {
    this.#spec = spec;
    this.#buffer = buffer;
    this.#tell = tell;
    this.#request = spec.kind === 'http' ? requestOf(spec, target.host) : Buffer.from(spec.send, 'hex');
  }

  start(dial: (handler: StreamHandler) => Stream): void {
    this.#stream = dial(this);
  }

  cancel(): void {
    this.#ended = true;
    this.#stream?.close();
  }

  onConnected(stream: Stream): void {
    this.#stream = stream;
    if (this.#spec.kind === 'tcp' && this.#spec.receive.length === 0) this.#end('passed', 0);
    else if (this.#request.length > 0) stream.write(this.#request, 0, this.#request.length);
  }

  onReadable(stream: Stream): void {
    for (;;) {
      const n = stream.read(readHeadroom, readCapacity);
      if (n === readEof) this.#end('network', 0);
      if (n <= 0) return;
      this.#received += this.#buffer.toString('latin1', readHeadroom, readHeadroom + n);
      this.#judge();
      if (!this.#ended && this.#received.length > maxBytes) this.#end('network', 0);
      if (this.#ended) return;
      if (!stream.more(n, readCapacity)) return;
    }
  }

  onDrained(): void {}

  onClosed(_stream: Stream, _reason: CloseReason): void {
    this.#stream = null;
    this.#end('network', 0);
  }

  #judge(): void {
    const spec = this.#spec;
    if (spec.kind === 'tcp') {
      if (holdsInOrder(this.#received, spec.receive)) this.#end('passed', 0);
      return;
    }
    const status = finalStatus.exec(this.#received)?.[1];
    if (status !== undefined) this.#end(verdictOf(spec, Number(status)), Number(status));
  }

  #end(...verdict: Parameters<TellVerdict>): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stream?.close();
    this.#tell(...verdict);
  }
}

function requestOf({ method, path, headers }: HttpProbeSpec, host: string): Buffer {
  const added = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const text = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nuser-agent: Envoy/HC\r\n${added}\r\n`;
  return Buffer.from(text, 'latin1');
}

/** Each payload somewhere behind the one before. */
function holdsInOrder(received: string, payloads: readonly string[]): boolean {
  let at = 0;
  for (const payload of payloads) {
    const text = Buffer.from(payload, 'hex').toString('latin1');
    const found = received.indexOf(text, at);
    if (found < 0) return false;
    at = found + text.length;
  }
  return true;
}
