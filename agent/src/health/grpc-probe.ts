/** grpc.health.v1.Health/Check in plaintext: a request of one string, an answer of one number. */
import { RpcFailure, rpcStatusName } from '@chainmail/xds/rpc-status';
import { oneAnswer } from '../grpc/call-unary.ts';
import { GrpcConnection } from '../grpc/connection.ts';
import { hostText, type ProbeResult, type ProbeTarget, source } from './app-probe.ts';
import { decodeHealthStatus, encodeHealthRequest, serving } from './health-messages.ts';

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
    return judge(decodeHealthStatus(await oneAnswer(connection, request, encodeHealthRequest(service))));
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
