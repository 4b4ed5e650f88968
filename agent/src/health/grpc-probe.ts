/** grpc.health.v1.Health/Check in plaintext: a request of one string, an answer of one number. */
import { RpcFailure, rpcStatusName } from '@chainmail/xds/rpc-status';
import { oneAnswer } from '../grpc/call-unary.ts';
import { GrpcConnection } from '../grpc/connection.ts';
import { hostText, type ProbeResult, type ProbeTarget, source } from './app-probe.ts';

const serving = 1;
const maxAnswerBytes = 4096;
const path = '/grpc.health.v1.Health/Check';

export async function grpcProbe(
  port: number,
  service: string,
  target: ProbeTarget,
  timeoutMs: number,
): Promise<ProbeResult> {
  const address = `${hostText(target.host)}:${port}`;
  const connection = new GrpcConnection(
    { address, serverName: address, tls: null, ...source(target) },
    { maxMessageBytes: maxAnswerBytes, keepalive: null, connectTimeoutMs: timeoutMs },
  );
  try {
    const request = { path, deadlineMs: timeoutMs, metadata: { 'user-agent': 'kube-probe/chainmail' } };
    return judge(decodeStatus(await oneAnswer(connection, request, encodeRequest(service))));
  } catch (error) {
    if (!(error instanceof RpcFailure)) throw error;
    const { code, details } = error;
    return { ok: false, status: 503, detail: `${rpcStatusName(code)}${details === '' ? '' : `: ${details}`}` };
  } finally {
    connection.close();
  }
}

function judge(status: number): ProbeResult {
  if (status === serving) return { ok: true, status: 200, detail: 'SERVING' };
  return { ok: false, status: 503, detail: `health status ${status}` };
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

/** HealthCheckResponse{ServingStatus status = 1}; 0 is UNKNOWN. */
function decodeStatus(message: Buffer): number {
  return message[0] === 0x08 ? (message[1] ?? 0) : 0;
}
