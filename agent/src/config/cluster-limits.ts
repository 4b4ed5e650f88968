/** Circuit breakers and outlier detection of a cluster, with Envoy's defaults. */
import type { CircuitBreakers } from '@chainmail/xds/proto/envoy/config/cluster/v3/circuit_breaker';
import type { OutlierDetection } from '@chainmail/xds/proto/envoy/config/cluster/v3/outlier_detection';
import type { CircuitSpec, OutlierSpec } from '../model/cluster.ts';
import type { MessageReader } from './message-reader.ts';

export const defaultCircuit: CircuitSpec = {
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
  retryBudget: null,
};

/** Requests of priority HIGH are refused in routes, so its thresholds bind nothing and are only checked. */
export function readCircuitBreakers(r: MessageReader<CircuitBreakers>): CircuitSpec {
  const thresholds = r.each('thresholds', (t) => {
    const priority = t.oneOf('priority', { DEFAULT: 'default', HIGH: 'high' } as const);
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
    return { priority, spec };
  });
  return thresholds.find((t) => t.priority === 'default')?.spec ?? defaultCircuit;
}

export function readOutlierDetection(r: MessageReader<OutlierDetection>): OutlierSpec {
  refuseRates(r);
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
    ignoreHealthChecks: r.take('successfulActiveHealthCheckUnejectHost') === false,
  };
}

/**
 * The checks of success rate and failure percentage are not implemented. They may be switched off by an enforcing
 * share of 0; their parameters alone say nothing then. Asking for them is refused.
 */
function refuseRates(r: MessageReader<OutlierDetection>): void {
  r.only('enforcingSuccessRate', 0);
  r.only('enforcingLocalOriginSuccessRate', 0);
  r.only('enforcingFailurePercentage', 0);
  r.only('enforcingFailurePercentageLocalOrigin', 0);
  const isOff = (share: number | undefined): boolean => share === 0;
  if (isOff(r.message.enforcingSuccessRate)) {
    r.take('successRateMinimumHosts');
    r.take('successRateRequestVolume');
    r.take('successRateStdevFactor');
  }
  if (isOff(r.message.enforcingFailurePercentage)) {
    r.take('failurePercentageThreshold');
    r.take('failurePercentageMinimumHosts');
    r.take('failurePercentageRequestVolume');
  }
  r.only('alwaysEjectOneHost', true);
}
