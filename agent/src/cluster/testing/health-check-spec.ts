/** Health checks as values, with short thresholds. */
import type { HealthCheckSpec, HttpProbeSpec } from '../../model/health-check.ts';

export const httpProbe: HttpProbeSpec = {
  kind: 'http',
  codec: 'http1',
  method: 'GET',
  path: '/healthz',
  host: 'app',
  headers: [['x-check', '1']],
  expected: [{ start: 200, end: 201 }],
  retriable: [{ start: 503, end: 504 }],
};

export function healthCheckSpec(of: Partial<HealthCheckSpec> = {}): HealthCheckSpec {
  return {
    probe: httpProbe,
    timeoutMs: 1000,
    intervalMs: 5000,
    unhealthyIntervalMs: 5000,
    noTrafficIntervalMs: 60_000,
    noTrafficHealthyIntervalMs: 60_000,
    unhealthyEdgeIntervalMs: 5000,
    healthyEdgeIntervalMs: 5000,
    initialJitterMs: 0,
    intervalJitterMs: 0,
    intervalJitterPercent: 0,
    unhealthyThreshold: 2,
    healthyThreshold: 3,
    ...of,
  };
}
