/** BackendTrafficPolicy: how clients call a Service, in Envoy Gateway's field names. */
import { apiVersion } from '@chainmail/runtime';
import { duration } from '../schema/duration.ts';
import { anything, bool, type Infer, integer, list, object, oneOf } from '../schema/schema.ts';
import { namespacedMetadata } from './meta.ts';
import { targets } from './target.ts';

const uint32 = integer(0, 4_294_967_295);

/** Envoy's retry_on conditions, in Envoy Gateway's spelling, which is the same. */
const retryTriggers = [
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
] as const;

const retry = object(
  {},
  {
    numRetries: integer(0, 100),
    retryOn: object(
      {},
      { triggers: list(oneOf(...retryTriggers), { min: 1 }), httpStatusCodes: list(integer(100, 599), { min: 1 }) },
    ),
    perRetry: object({}, { timeout: duration, backOff: object({}, { baseInterval: duration, maxInterval: duration }) }),
  },
);

const passive = object(
  {},
  {
    splitExternalLocalOriginErrors: bool,
    interval: duration,
    consecutiveLocalOriginFailures: uint32,
    consecutiveGatewayErrors: uint32,
    consecutive5XxErrors: uint32,
    baseEjectionTime: duration,
    maxEjectionPercent: integer(0, 100),
    failurePercentageThreshold: integer(1, 100),
  },
  { instead: { consecutive5xxErrors: { type: 'integer', advice: 'write consecutive5XxErrors' } } },
);

const circuitBreaker = object(
  {},
  {
    maxConnections: uint32,
    maxPendingRequests: uint32,
    maxParallelRequests: uint32,
    maxParallelRetries: uint32,
    maxRequestsPerConnection: uint32,
  },
);

export const backendTrafficPolicy = object(
  {
    apiVersion: oneOf(apiVersion),
    kind: oneOf('BackendTrafficPolicy'),
    metadata: namespacedMetadata,
    spec: object(
      {},
      {
        ...targets,
        loadBalancer: object({ type: oneOf('RoundRobin', 'LeastRequest') }, {}),
        retry,
        healthCheck: object(
          {},
          { passive, panicThreshold: integer(0, 100) },
          { instead: { active: 'active health checks are not supported yet; the passive ones are on by default' } },
        ),
        timeout: object(
          {},
          { http: object({}, { requestTimeout: duration }), tcp: object({}, { connectTimeout: duration }) },
        ),
        circuitBreaker,
      },
      { instead: { targetRef: 'write a list: targetRefs' } },
    ),
  },
  { status: anything },
);

export type BackendTrafficPolicy = Infer<typeof backendTrafficPolicy>;
