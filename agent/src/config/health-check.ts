/** Active health checks of a cluster: HTTP/1.1 and TCP, with Envoy's defaults. */
import type {
  HealthCheck,
  HealthCheck_HttpHealthCheck as HttpCheck,
  HealthCheck_Payload as Payload,
  HealthCheck_TcpHealthCheck as TcpCheck,
} from '@chainmail/xds/proto/envoy/config/core/v3/health_check';
import type { Int64Range } from '@chainmail/xds/proto/envoy/type/v3/range';
import { compileFormat } from '../log/format.ts';
import type { HealthCheckSpec, HttpProbeSpec, TcpProbeSpec } from '../model/cluster.ts';
import type { MessageReader } from './message-reader.ts';

const defaultNoTrafficMs = 60_000;

/** @param clusterName stands for the Host where none is given */
export function readHealthCheck(r: MessageReader<HealthCheck>, clusterName: string): HealthCheckSpec {
  const required = (name: 'timeout' | 'interval'): number => {
    const ms = r.durationMs(name);
    if (ms === undefined || ms === 0) throw r.invalid(name, 'is required and must be above 0');
    return ms;
  };
  const intervalMs = required('interval');
  const unhealthyIntervalMs = r.durationMs('unhealthyInterval') ?? intervalMs;
  const noTrafficIntervalMs = r.durationMs('noTrafficInterval') ?? defaultNoTrafficMs;
  // A check has a connection of its own here, whether or not the next may use it.
  r.take('reuseConnection');
  r.only('alwaysLogHealthCheckFailures', false);
  r.only('alwaysLogHealthCheckSuccess', false);
  return {
    probe: readProbe(r, clusterName),
    timeoutMs: required('timeout'),
    intervalMs,
    unhealthyIntervalMs,
    noTrafficIntervalMs,
    noTrafficHealthyIntervalMs: r.durationMs('noTrafficHealthyInterval') ?? noTrafficIntervalMs,
    unhealthyEdgeIntervalMs: r.durationMs('unhealthyEdgeInterval') ?? unhealthyIntervalMs,
    healthyEdgeIntervalMs: r.durationMs('healthyEdgeInterval') ?? intervalMs,
    initialJitterMs: r.durationMs('initialJitter') ?? 0,
    intervalJitterMs: r.durationMs('intervalJitter') ?? 0,
    intervalJitterPercent: r.take('intervalJitterPercent'),
    unhealthyThreshold: threshold(r, 'unhealthyThreshold'),
    healthyThreshold: threshold(r, 'healthyThreshold'),
  };
}

function threshold(r: MessageReader<HealthCheck>, name: 'unhealthyThreshold' | 'healthyThreshold'): number {
  const value = r.take(name);
  if (value === undefined) throw r.invalid(name, 'is required');
  return value;
}

function readProbe(r: MessageReader<HealthCheck>, clusterName: string): HttpProbeSpec | TcpProbeSpec {
  const checker = r.take('healthChecker');
  switch (checker.case) {
    case 'httpHealthCheck':
      return r.within('httpHealthCheck', checker.value, (h) => readHttp(h, clusterName));
    case 'tcpHealthCheck':
      return r.within('tcpHealthCheck', checker.value, readTcp);
    case undefined:
      throw r.invalid('healthChecker', 'is required');
    default:
      throw r.unsupported(checker.case);
  }
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH'] as const;
const methodTable = { METHOD_UNSPECIFIED: 'GET', ...Object.fromEntries(methods.map((m) => [m, m])) } as const;

function readHttp(r: MessageReader<HttpCheck>, clusterName: string): HttpProbeSpec {
  r.oneOf('codecClientType', { HTTP1: null });
  const path = r.take('path');
  if (!/^\/[!-~]*$/.test(path)) throw r.invalid('path', 'must begin with / and hold no spaces or control characters');
  const host = r.take('host') || clusterName;
  if (!/^[!-~]+$/.test(host)) throw r.invalid('host', 'must be one word of visible ASCII');
  const expected = r.each('expectedStatuses', readRange);
  return {
    kind: 'http',
    method: r.oneOf('method', methodTable as Readonly<Record<string, string>>),
    path,
    host,
    headers: r.each('requestHeadersToAdd', (a) => {
      a.oneOf('appendAction', { APPEND_IF_EXISTS_OR_ADD: null });
      a.take('keepEmptyValue');
      return a.required('header', (h): readonly [string, string] => {
        const { constant } = compileFormat(h.take('value'));
        if (constant === null) throw h.unsupported('value', 'operators are not implemented in health checks');
        if (/[\r\n\0]/.test(constant)) throw h.invalid('value', 'must be one line');
        return [h.take('key').toLowerCase(), constant];
      });
    }),
    expected: expected.length > 0 ? expected : [{ start: 200, end: 201 }],
    retriable: r.each('retriableStatuses', readRange),
  };
}

function readRange(r: MessageReader<Int64Range>): { readonly start: number; readonly end: number } {
  return { start: Number(r.take('start')), end: Number(r.take('end')) };
}

function readTcp(r: MessageReader<TcpCheck>): TcpProbeSpec {
  return { kind: 'tcp', send: r.inside('send', readPayload) ?? '', receive: r.each('receive', readPayload) };
}

/** As lower-case hexadecimal digits. */
function readPayload(r: MessageReader<Payload>): string {
  const payload = r.take('payload');
  switch (payload.case) {
    case 'text':
      if (!/^(?:[0-9a-fA-F]{2})+$/.test(payload.value)) throw r.invalid('text', 'must be pairs of hexadecimal digits');
      return payload.value.toLowerCase();
    case 'binary':
      return Buffer.from(payload.value).toString('hex');
    case undefined:
      throw r.invalid('payload', 'is required');
  }
}
