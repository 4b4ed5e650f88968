/** Circuit breakers and outlier detection of a cluster, with Envoy's defaults. */
import type { CircuitBreakers } from '@chainmail/xds/proto/envoy/config/cluster/v3/circuit_breaker';
import type { Cluster } from '@chainmail/xds/proto/envoy/config/cluster/v3/cluster';
import type { OutlierDetection } from '@chainmail/xds/proto/envoy/config/cluster/v3/outlier_detection';
import { defaultCircuit } from '../cluster/circuit-breakers.ts';
import type { CircuitSpec, ClusterSpec, OutlierSpec } from '../model/cluster.ts';
import type { MessageReader } from './message-reader.ts';
import type { RuntimeValues } from './runtime.ts';

type Circuits = Pick<ClusterSpec, 'circuit' | 'highCircuit'>;

const priorities = { DEFAULT: 'default', HIGH: 'high' } as const;
type Priority = (typeof priorities)[keyof typeof priorities];

/** Keys of the runtime stand above what the cluster says, and above the defaults where it says nothing. */
export function readCircuits(r: MessageReader<Cluster>, cluster: string): Circuits {
  const said = r.inside('circuitBreakers', readThresholds) ?? {};
  const high = withRuntime(said.high, 'high', cluster, r.runtime);
  return {
    circuit: withRuntime(said.default, 'default', cluster, r.runtime) ?? defaultCircuit,
    ...(high === undefined ? {} : { highCircuit: high }),
  };
}

/** The first thresholds of a priority count, as in Envoy. */
function readThresholds(r: MessageReader<CircuitBreakers>): Partial<Record<Priority, CircuitSpec>> {
  const thresholds = r.each('thresholds', (t) => {
    const spec: CircuitSpec = {
      maxConnections: t.take('maxConnections') ?? defaultCircuit.maxConnections,
      maxPendingRequests: t.take('maxPendingRequests') ?? defaultCircuit.maxPendingRequests,
      maxRequests: t.take('maxRequests') ?? defaultCircuit.maxRequests,
      maxRetries: t.take('maxRetries') ?? defaultCircuit.maxRetries,
      retryBudget:
        t.inside('retryBudget', (b) => ({
          percent: b.inside('budgetPercent', (p) => p.take('value')) ?? 20,
          minRetries: b.take('minRetryConcurrency') ?? 3,
        })) ?? null,
    };
    return [t.oneOf('priority', priorities), spec] as const;
  });
  return Object.fromEntries(thresholds.toReversed());
}

/** undefined where nobody says anything. */
function withRuntime(
  said: CircuitSpec | undefined,
  priority: Priority,
  cluster: string,
  runtime: RuntimeValues,
): CircuitSpec | undefined {
  const { maxConnections, maxPendingRequests, maxRequests, maxRetries } = said ?? defaultCircuit;
  const limit = (name: string, configured: number): number =>
    runtime.whole(`circuit_breakers.${cluster}.${priority}.${name}`, configured);
  const limits = {
    maxConnections: limit('max_connections', maxConnections),
    maxPendingRequests: limit('max_pending_requests', maxPendingRequests),
    maxRequests: limit('max_requests', maxRequests),
    maxRetries: limit('max_retries', maxRetries),
  };
  const changes = (Object.keys(limits) as (keyof typeof limits)[]).some((k) => limits[k] !== defaultCircuit[k]);
  return said === undefined && !changes ? undefined : { ...(said ?? defaultCircuit), ...limits };
}

export function readOutlierDetection(r: MessageReader<OutlierDetection>): OutlierSpec {
  r.only('alwaysEjectOneHost', true);
  const baseEjectionTimeMs = r.durationMs('baseEjectionTime') ?? 30_000;
  return {
    consecutive5xx: r.take('consecutive5xx') ?? 5,
    enforcingConsecutive5xx: r.take('enforcingConsecutive5xx') ?? 100,
    consecutiveGatewayFailure: r.take('consecutiveGatewayFailure') ?? 5,
    enforcingConsecutiveGatewayFailure: r.take('enforcingConsecutiveGatewayFailure') ?? 0,
    consecutiveLocalOriginFailure: r.take('consecutiveLocalOriginFailure') ?? 5,
    enforcingConsecutiveLocalOriginFailure: r.take('enforcingConsecutiveLocalOriginFailure') ?? 100,
    splitExternalLocalOriginErrors: r.take('splitExternalLocalOriginErrors'),
    intervalMs: r.durationMs('interval') ?? 10_000,
    baseEjectionTimeMs,
    maxEjectionTimeMs: r.durationMs('maxEjectionTime') ?? Math.max(300_000, baseEjectionTimeMs),
    maxEjectionPercent: r.take('maxEjectionPercent') ?? 10,
    ...readRates(r),
    ignoreHealthChecks: r.take('successfulActiveHealthCheckUnejectHost') === false,
  };
}

/** An enforcing share of 0 still counts what was detected, as in Envoy. */
function readRates(r: MessageReader<OutlierDetection>): Pick<OutlierSpec, 'successRate' | 'failurePercentage'> {
  return {
    successRate: {
      minimumHosts: r.take('successRateMinimumHosts') ?? 5,
      requestVolume: r.take('successRateRequestVolume') ?? 100,
      stdevFactor: (r.take('successRateStdevFactor') ?? 1900) / 1000,
      enforcing: r.take('enforcingSuccessRate') ?? 100,
      enforcingLocal: r.take('enforcingLocalOriginSuccessRate') ?? 100,
    },
    failurePercentage: {
      threshold: r.take('failurePercentageThreshold') ?? 85,
      minimumHosts: r.take('failurePercentageMinimumHosts') ?? 5,
      requestVolume: r.take('failurePercentageRequestVolume') ?? 50,
      enforcing: r.take('enforcingFailurePercentage') ?? 0,
      enforcingLocal: r.take('enforcingFailurePercentageLocalOrigin') ?? 0,
    },
  };
}
