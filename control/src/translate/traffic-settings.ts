/**
 * BackendTrafficPolicy with the mesh's defaults filled in, in milliseconds and Envoy's terms. The defaults: least
 * request; two retries where repeating is safe; ejection after five consecutive 5xx; no overall timeout; no caps on
 * connections, since a cap nobody asked for shows up as an outage.
 */
import { type BackendTrafficPolicy, durationMs } from '@chainmail/kube';

export interface RetrySettings {
  readonly on: readonly string[];
  readonly count: number;
  readonly statusCodes: readonly number[];
  readonly perTryTimeoutMs: number | undefined;
  readonly backOffMs: { readonly base: number; readonly max: number | undefined } | undefined;
}

export interface OutlierSettings {
  readonly consecutive5xx: number;
  readonly consecutiveGatewayFailure: number | undefined;
  readonly splitLocalOrigin: boolean;
  readonly consecutiveLocalOriginFailure: number | undefined;
  readonly intervalMs: number;
  readonly baseEjectionMs: number;
  readonly maxEjectionPercent: number;
  readonly failurePercentage: number | undefined;
}

export interface CircuitSettings {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  /** Undefined: a budget of half the active requests, at least 10. */
  readonly maxRetries: number | undefined;
  readonly maxRequestsPerConnection: number | undefined;
}

export interface TrafficSettings {
  readonly balancer: 'RoundRobin' | 'LeastRequest';
  readonly connectTimeoutMs: number;
  /** 0: none. */
  readonly requestTimeoutMs: number;
  /** Undefined: the default, which depends on whether the method is idempotent. */
  readonly retry: RetrySettings | undefined;
  readonly outlier: OutlierSettings;
  readonly panicThreshold: number | undefined;
  readonly circuit: CircuitSettings;
}

const unlimited = 4_294_967_295;
const ms = (text: string | undefined): number | undefined => (text === undefined ? undefined : durationMs(text));

type Spec = BackendTrafficPolicy['spec'];

function retryOf(retry: NonNullable<Spec['retry']>): RetrySettings {
  const codes = retry.retryOn?.httpStatusCodes ?? [];
  const triggers: readonly string[] = retry.retryOn?.triggers ?? [
    'connect-failure',
    'refused-stream',
    'reset-before-request',
  ];
  const backOff = retry.perRetry?.backOff;
  const base = ms(backOff?.baseInterval);
  return {
    on:
      codes.length > 0 && !triggers.includes('retriable-status-codes')
        ? [...triggers, 'retriable-status-codes']
        : triggers,
    count: retry.numRetries ?? 2,
    statusCodes: codes,
    perTryTimeoutMs: ms(retry.perRetry?.timeout),
    backOffMs: base === undefined ? undefined : { base, max: ms(backOff?.maxInterval) },
  };
}

function outlierOf(passive: NonNullable<Spec['healthCheck']>['passive']): OutlierSettings {
  return {
    consecutive5xx: passive?.consecutive5XxErrors ?? 5,
    consecutiveGatewayFailure: passive?.consecutiveGatewayErrors,
    splitLocalOrigin: passive?.splitExternalLocalOriginErrors ?? false,
    consecutiveLocalOriginFailure: passive?.consecutiveLocalOriginFailures,
    intervalMs: ms(passive?.interval) ?? 10_000,
    baseEjectionMs: ms(passive?.baseEjectionTime) ?? 30_000,
    maxEjectionPercent: passive?.maxEjectionPercent ?? 10,
    failurePercentage: passive?.failurePercentageThreshold,
  };
}

function circuitOf(circuit: Spec['circuitBreaker']): CircuitSettings {
  return {
    maxConnections: circuit?.maxConnections ?? unlimited,
    maxPendingRequests: circuit?.maxPendingRequests ?? unlimited,
    maxRequests: circuit?.maxParallelRequests ?? unlimited,
    maxRetries: circuit?.maxParallelRetries,
    maxRequestsPerConnection: circuit?.maxRequestsPerConnection,
  };
}

export function trafficSettings(policy: BackendTrafficPolicy | undefined): TrafficSettings {
  const spec: Spec = policy?.spec ?? {};
  return {
    balancer: spec.loadBalancer?.type ?? 'LeastRequest',
    connectTimeoutMs: ms(spec.timeout?.tcp?.connectTimeout) ?? 5000,
    requestTimeoutMs: ms(spec.timeout?.http?.requestTimeout) ?? 0,
    retry: spec.retry === undefined ? undefined : retryOf(spec.retry),
    outlier: outlierOf(spec.healthCheck?.passive),
    panicThreshold: spec.healthCheck?.panicThreshold,
    circuit: circuitOf(spec.circuitBreaker),
  };
}
