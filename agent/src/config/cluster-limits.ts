/** Circuit breakers and outlier detection of a cluster, with Envoy's defaults. */
import type { CircuitBreakers } from '@chainmail/xds/proto/envoy/config/cluster/v3/circuit_breaker';
import type { OutlierDetection } from '@chainmail/xds/proto/envoy/config/cluster/v3/outlier_detection';
import { defaultCircuit } from '../cluster/circuit-breakers.ts';
import type { CircuitSpec, ClusterSpec, OutlierSpec } from '../model/cluster.ts';
import type { MessageReader } from './message-reader.ts';

type Circuits = Pick<ClusterSpec, 'circuit' | 'highCircuit'>;

/** The first thresholds of a priority count, as in Envoy. */
export function readCircuitBreakers(r: MessageReader<CircuitBreakers>, cluster: string): Circuits {
  const thresholds = r.each('thresholds', (t) => {
    const priority = t.oneOf('priority', { DEFAULT: 'default', HIGH: 'high' } as const);
    const limit = (name: string, configured: number): number =>
      t.runtime.whole(`circuit_breakers.${cluster}.${priority}.${name}`, configured);
    const spec: CircuitSpec = {
      maxConnections: limit('max_connections', t.take('maxConnections') ?? defaultCircuit.maxConnections),
      maxPendingRequests: limit(
        'max_pending_requests',
        t.take('maxPendingRequests') ?? defaultCircuit.maxPendingRequests,
      ),
      maxRequests: limit('max_requests', t.take('maxRequests') ?? defaultCircuit.maxRequests),
      maxRetries: limit('max_retries', t.take('maxRetries') ?? defaultCircuit.maxRetries),
      retryBudget:
        t.inside('retryBudget', (b) => ({
          percent: b.inside('budgetPercent', (p) => p.take('value')) ?? 20,
          minRetries: b.take('minRetryConcurrency') ?? 3,
        })) ?? null,
    };
    return { priority, spec };
  });
  const of = (priority: 'default' | 'high'): CircuitSpec | undefined =>
    thresholds.find((t) => t.priority === priority)?.spec;
  const high = of('high');
  return { circuit: of('default') ?? defaultCircuit, ...(high === undefined ? {} : { highCircuit: high }) };
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
