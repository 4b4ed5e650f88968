/** grpc.health.v1.Health/Check over plain HTTP/2: a request of one string, an answer of one number. */
import http2 from 'node:http2';
import net from 'node:net';
import { hostText, type ProbeResult, type ProbeTarget, source } from './app-probe.ts';

const serving = 1;
const maxAnswerBytes = 4096;

export function grpcProbe(
  port: number,
  service: string,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const authority = `http://${hostText(target.host)}:${port}`;
  return new Promise((resolve, reject) => {
    const session = http2.connect(authority, {
      createConnection: () => net.connect({ host: target.host, port, signal, ...source(target) }),
    });
    const end = (result: ProbeResult | Error): void => {
      session.destroy();
      if (result instanceof Error) reject(result);
      else resolve(result);
    };
    signal.addEventListener('abort', () => end(new Error('timeout')), { once: true });
    session.on('error', end);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'kube-probe/chainmail',
    });
    const chunks: Buffer[] = [];
    let size = 0;
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxAnswerBytes) end(new Error('the answer is too large'));
      chunks.push(chunk);
    });
    let grpcStatus = '';
    const note = (headers: http2.IncomingHttpHeaders): void => {
      grpcStatus = String(headers['grpc-status'] ?? grpcStatus);
    };
    stream.on('response', note);
    stream.on('trailers', note);
    stream.on('error', end);
    stream.on('end', () => end(judge(grpcStatus, Buffer.concat(chunks))));
    stream.end(frame(encodeRequest(service)));
  });
}

function judge(grpcStatus: string, body: Buffer): ProbeResult {
  const status = decodeStatus(body.subarray(5));
  if (grpcStatus === '0' && status === serving) return { ok: true, status: 200, detail: 'SERVING' };
  return { ok: false, status: 503, detail: `grpc-status ${grpcStatus || 'missing'}, health status ${status}` };
}

/** HealthCheckRequest{string service = 1}. */
function encodeRequest(service: string): Buffer {
  if (service === '') return Buffer.alloc(0);
  const text = Buffer.from(service);
  return Buffer.concat([Buffer.from([0x0a]), varint(text.length), text]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}

/** gRPC's length-prefixed message, uncompressed. */
function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** HealthCheckResponse{ServingStatus status = 1}; 0 is UNKNOWN. */
function decodeStatus(message: Buffer): number {
  return message[0] === 0x08 ? (message[1] ?? 0) : 0;
}
