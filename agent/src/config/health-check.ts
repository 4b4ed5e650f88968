/** Active health checks of a cluster: HTTP, gRPC and TCP, with Envoy's defaults. */
import type { HeaderValueOption } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import type {
  HealthCheck_GrpcHealthCheck as GrpcCheck,
  HealthCheck,
  HealthCheck_HttpHealthCheck as HttpCheck,
  HealthCheck_Payload as Payload,
  HealthCheck_TcpHealthCheck as TcpCheck,
} from '@chainmail/xds/proto/envoy/config/core/v3/health_check';
import type { HealthCheckEventFileSink } from '@chainmail/xds/proto/envoy/extensions/health_check/event_sinks/file/v3/file';
import type { Int64Range } from '@chainmail/xds/proto/envoy/type/v3/range';
import { compileFormat } from '../log/format.ts';
import type {
  GrpcProbeSpec,
  HealthCheckSpec,
  HealthEventsSpec,
  HttpProbeSpec,
  ProbeHeaders,
  TcpProbeSpec,
} from '../model/health-check.ts';
import { extension, type MessageReader } from './message-reader.ts';

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
  const alpn = r.inside('tlsOptions', (o) => o.take('alpnProtocols')) ?? [];
  const socketMatch = readCriteria(r);
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
    ...(alpn.length === 0 ? {} : { alpn }),
    ...(socketMatch === undefined ? {} : { socketMatch }),
    ...readEvents(r),
  };
}

function readCriteria(r: MessageReader<HealthCheck>): Readonly<Record<string, string>> | undefined {
  const criteria = r.take('transportSocketMatchCriteria');
  if (criteria === undefined) return undefined;
  const labels = Object.entries(criteria).map(([name, value]): [string, string] => {
    if (typeof value !== 'string')
      throw r.unsupported('transportSocketMatchCriteria', `${name}: only text is implemented`);
    return [name, value];
  });
  return Object.fromEntries(labels);
}

/** Without a destination the switches have nothing to switch. */
function readEvents(r: MessageReader<HealthCheck>): { readonly events?: HealthEventsSpec } {
  const allFailures = r.take('alwaysLogHealthCheckFailures');
  const allSuccesses = r.take('alwaysLogHealthCheckSuccess');
  const deprecated = r.take('eventLogPath');
  const sinks = r.each('eventLogger', (sink) => {
    const config = sink.take('typedConfig');
    if (config === undefined) throw sink.invalid('typedConfig', 'is required');
    return sink.extension('typedConfig', config, [
      extension<HealthCheckEventFileSink, string>(
        'envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink',
        (f) => f.take('eventLogPath'),
      ),
    ]);
  });
  const paths = [...sinks, ...(deprecated === '' ? [] : [deprecated])];
  return paths.length === 0 ? {} : { events: { paths, allFailures, allSuccesses } };
}

function threshold(r: MessageReader<HealthCheck>, name: 'unhealthyThreshold' | 'healthyThreshold'): number {
  const value = r.take(name);
  if (value === undefined) throw r.invalid(name, 'is required');
  return value;
}

function readProbe(r: MessageReader<HealthCheck>, clusterName: string): HealthCheckSpec['probe'] {
  const checker = r.take('healthChecker');
  switch (checker.case) {
    case 'httpHealthCheck':
      return r.within('httpHealthCheck', checker.value, (h) => readHttp(h, clusterName));
    case 'tcpHealthCheck':
      return r.within('tcpHealthCheck', checker.value, readTcp);
    case 'grpcHealthCheck':
      return r.within('grpcHealthCheck', checker.value, (g) => readGrpc(g, clusterName));
    case undefined:
      throw r.invalid('healthChecker', 'is required');
    default:
      throw r.unsupported(checker.case);
  }
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH'] as const;
const methodTable = { METHOD_UNSPECIFIED: 'GET', ...Object.fromEntries(methods.map((m) => [m, m])) } as const;

/** A Host or :authority, which goes into a request as it is. */
export const isHostValue = (text: string): boolean => /^[!-~]+$/.test(text);

function readHost(
  r: MessageReader<HttpCheck> | MessageReader<GrpcCheck>,
  name: 'host' | 'authority',
  clusterName: string,
): string {
  const host = (r as MessageReader<{ host: string; authority: string } & HttpCheck>).take(name) || clusterName;
  if (!isHostValue(host)) throw r.invalid(name, 'must be one word of visible ASCII');
  return host;
}

function readGrpc(r: MessageReader<GrpcCheck>, clusterName: string): GrpcProbeSpec {
  return {
    kind: 'grpc',
    service: r.take('serviceName'),
    authority: readHost(r, 'authority', clusterName),
    headers: r.each('initialMetadata', readAddedHeader),
  };
}

function readAddedHeader(r: MessageReader<HeaderValueOption>): ProbeHeaders[number] {
  r.oneOf('appendAction', { APPEND_IF_EXISTS_OR_ADD: null });
  r.take('keepEmptyValue');
  return r.required('header', (h): readonly [string, string] => {
    const { constant } = compileFormat(h.take('value'));
    if (constant === null) throw h.unsupported('value', 'operators are not implemented in health checks');
    if (/[\r\n\0]/.test(constant)) throw h.invalid('value', 'must be one line');
    return [h.take('key').toLowerCase(), constant];
  });
}

function readHttp(r: MessageReader<HttpCheck>, clusterName: string): HttpProbeSpec {
  const codec = r.oneOf('codecClientType', { HTTP1: 'http1', HTTP2: 'http2' } as const);
  const path = r.take('path');
  if (!/^\/[!-~]*$/.test(path)) throw r.invalid('path', 'must begin with / and hold no spaces or control characters');
  const host = readHost(r, 'host', clusterName);
  const expected = r.each('expectedStatuses', readRange);
  return {
    kind: 'http',
    codec,
    method: r.oneOf('method', methodTable as Readonly<Record<string, string>>),
    path,
    host,
    headers: r.each('requestHeadersToAdd', readAddedHeader),
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
