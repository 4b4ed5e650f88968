/**
 * Where a number lives: one Float64Array over a SharedArrayBuffer for each worker, which alone writes it; the main
 * thread only reads and adds up. The main thread hands out blocks of slots by name, so the worker counts with
 * `slots[base + offset]++` and knows no name. Untouched pages cost nothing.
 */

import { type Http2Stat, http2StatKinds } from '../http2/counters.ts';

/** 18 MiB of address space for a worker, enough for 1,800 clusters; pages are taken on first use. */
export const slotCount = 2_359_296;

/**
 * Kind of a slot inside a block. Counters and gauges of the workers add up; a level says the same thing in each worker
 * (members of a cluster, a limit reached), so the largest is shown. To a reader it is a gauge.
 */
export type SlotKind = 'counter' | 'gauge' | 'level';

export interface BlockLayout {
  readonly slots: readonly { readonly name: string; readonly kind: SlotKind }[];
}

function block<const N extends Readonly<Record<string, SlotKind>>>(
  names: N,
): { readonly layout: BlockLayout; readonly at: { readonly [K in keyof N]: number } } {
  const entries = Object.entries(names);
  return {
    layout: { slots: entries.map(([name, kind]) => ({ name, kind })) },
    at: Object.fromEntries(entries.map(([name], i) => [name, i])) as { readonly [K in keyof N]: number },
  };
}

/** `listener.<address>.` */
export const listenerStat = block({
  downstream_cx_total: 'counter',
  downstream_cx_active: 'gauge',
  downstream_cx_destroy: 'counter',
  downstream_cx_overflow: 'counter',
  downstream_global_cx_overflow: 'counter',
  downstream_pre_cx_timeout: 'counter',
  downstream_pre_cx_active: 'gauge',
  no_filter_chain_match: 'counter',
  downstream_cx_not_redirected: 'counter',
  'ssl.handshake': 'counter',
  'ssl.connection_error': 'counter',
  'ssl.fail_verify_no_cert': 'counter',
  'ssl.fail_verify_error': 'counter',
  'ssl.fail_verify_san': 'counter',
  'ssl.fail_verify_cert_hash': 'counter',
  'tls_inspector.tls_found': 'counter',
  'tls_inspector.tls_not_found': 'counter',
  'http_inspector.http10_found': 'counter',
  'http_inspector.http11_found': 'counter',
  'http_inspector.http2_found': 'counter',
  'http_inspector.http_not_found': 'counter',
});

/** `http2.`: of all client connections, as in Envoy; clusters have the same numbers of their own. */
export const http2Stat = block(http2StatKinds);

const clusterHttp2 = Object.fromEntries(
  Object.entries(http2StatKinds).map(([name, kind]) => [`http2.${name}`, kind]),
) as { readonly [S in Http2Stat as `http2.${S}`]: SlotKind };

/** `http.<stat_prefix>.`; downstream_rq_time is a histogram block that follows at `histogramSlots`. */
export const httpStat = block({
  downstream_cx_total: 'counter',
  downstream_cx_active: 'gauge',
  downstream_cx_destroy: 'counter',
  downstream_cx_destroy_local: 'counter',
  downstream_cx_destroy_remote: 'counter',
  downstream_cx_destroy_active_rq: 'counter',
  downstream_cx_destroy_local_active_rq: 'counter',
  downstream_cx_destroy_remote_active_rq: 'counter',
  downstream_cx_http1_total: 'counter',
  downstream_cx_http1_active: 'gauge',
  downstream_cx_http2_total: 'counter',
  downstream_cx_http2_active: 'gauge',
  downstream_cx_ssl_total: 'counter',
  downstream_cx_ssl_active: 'gauge',
  downstream_cx_protocol_error: 'counter',
  downstream_cx_idle_timeout: 'counter',
  downstream_cx_max_duration_reached: 'counter',
  downstream_cx_max_requests_reached: 'counter',
  downstream_cx_drain_close: 'counter',
  downstream_cx_rx_bytes_total: 'counter',
  downstream_cx_tx_bytes_total: 'counter',
  downstream_cx_upgrades_total: 'counter',
  downstream_cx_upgrades_active: 'gauge',
  downstream_rq_total: 'counter',
  downstream_rq_active: 'gauge',
  downstream_rq_http1_total: 'counter',
  downstream_rq_http2_total: 'counter',
  downstream_rq_completed: 'counter',
  downstream_rq_1xx: 'counter',
  downstream_rq_2xx: 'counter',
  downstream_rq_3xx: 'counter',
  downstream_rq_4xx: 'counter',
  downstream_rq_5xx: 'counter',
  /** gRPC calls that failed though HTTP says otherwise. */
  downstream_rq_grpc_failure: 'counter',
  downstream_rq_timeout: 'counter',
  downstream_rq_idle_timeout: 'counter',
  downstream_rq_header_timeout: 'counter',
  downstream_rq_too_large: 'counter',
  downstream_rq_rx_reset: 'counter',
  downstream_rq_tx_reset: 'counter',
  downstream_rq_failed_path_normalization: 'counter',
  downstream_rq_redirected_with_normalized_path: 'counter',
  downstream_rq_rejected_via_ip_detection: 'counter',
  downstream_rq_max_duration_reached: 'counter',
  no_route: 'counter',
  no_cluster: 'counter',
  rq_direct_response: 'counter',
  rq_redirect: 'counter',
  passthrough_internal_redirect_bad_location: 'counter',
  passthrough_internal_redirect_unsafe_scheme: 'counter',
  passthrough_internal_redirect_too_many_redirects: 'counter',
  passthrough_internal_redirect_no_route: 'counter',
  passthrough_internal_redirect_predicate: 'counter',
  rq_total: 'counter',
});

/** What becomes of requests to an upstream: of a cluster, and of each virtual cluster and route. */
const upstreamAnswers = {
  upstream_rq_retry: 'counter',
  upstream_rq_retry_success: 'counter',
  upstream_rq_retry_overflow: 'counter',
  upstream_rq_retry_limit_exceeded: 'counter',
  upstream_rq_completed: 'counter',
  upstream_rq_1xx: 'counter',
  upstream_rq_2xx: 'counter',
  upstream_rq_3xx: 'counter',
  upstream_rq_4xx: 'counter',
  upstream_rq_5xx: 'counter',
} as const;

/** `cluster.<name>.`; codes 100..599 follow as `upstream_rq_<code>` (codeSlots), then upstream_rq_time and upstream_cx_connect_ms. */
export const clusterStat = block({
  upstream_cx_total: 'counter',
  upstream_cx_active: 'gauge',
  upstream_cx_http1_total: 'counter',
  upstream_cx_http2_total: 'counter',
  upstream_cx_connect_fail: 'counter',
  upstream_cx_connect_timeout: 'counter',
  upstream_cx_overflow: 'counter',
  upstream_cx_pool_overflow: 'counter',
  upstream_cx_destroy: 'counter',
  upstream_cx_destroy_local: 'counter',
  upstream_cx_destroy_remote: 'counter',
  upstream_cx_destroy_with_active_rq: 'counter',
  upstream_cx_destroy_local_with_active_rq: 'counter',
  upstream_cx_destroy_remote_with_active_rq: 'counter',
  upstream_cx_idle_timeout: 'counter',
  upstream_cx_max_requests: 'counter',
  upstream_cx_none_healthy: 'counter',
  upstream_cx_protocol_error: 'counter',
  upstream_cx_close_notify: 'counter',
  upstream_cx_rx_bytes_total: 'counter',
  upstream_cx_tx_bytes_total: 'counter',
  upstream_rq_total: 'counter',
  upstream_rq_active: 'gauge',
  upstream_rq_pending_total: 'counter',
  upstream_rq_pending_active: 'gauge',
  upstream_rq_pending_overflow: 'counter',
  upstream_rq_pending_failure_eject: 'counter',
  upstream_rq_cancelled: 'counter',
  upstream_rq_timeout: 'counter',
  upstream_rq_per_try_timeout: 'counter',
  upstream_rq_rx_reset: 'counter',
  upstream_rq_tx_reset: 'counter',
  ...upstreamAnswers,
  retry_or_shadow_abandoned: 'counter',
  membership_total: 'level',
  membership_healthy: 'level',
  membership_change: 'counter',
  lb_healthy_panic: 'counter',
  lb_local_cluster_not_ok: 'counter',
  lb_recalculate_zone_structures: 'counter',
  lb_zone_cluster_too_small: 'counter',
  lb_zone_no_capacity_left: 'counter',
  lb_zone_routing_all_directly: 'counter',
  lb_zone_routing_cross_zone: 'counter',
  lb_zone_routing_sampled: 'counter',
  'ssl.handshake': 'counter',
  'ssl.connection_error': 'counter',
  'ssl.fail_verify_san': 'counter',
  'ssl.fail_verify_cert_hash': 'counter',
  'ssl.fail_verify_error': 'counter',
  'health_check.attempt': 'counter',
  'health_check.success': 'counter',
  'health_check.failure': 'counter',
  'health_check.network_failure': 'counter',
  'health_check.healthy': 'level',
  'outlier_detection.ejections_active': 'level',
  'outlier_detection.ejections_enforced_total': 'counter',
  'outlier_detection.ejections_enforced_consecutive_5xx': 'counter',
  'outlier_detection.ejections_enforced_consecutive_gateway_failure': 'counter',
  'outlier_detection.ejections_enforced_consecutive_local_origin_failure': 'counter',
  'outlier_detection.ejections_detected_consecutive_5xx': 'counter',
  'outlier_detection.ejections_detected_consecutive_gateway_failure': 'counter',
  'outlier_detection.ejections_detected_consecutive_local_origin_failure': 'counter',
  'outlier_detection.ejections_enforced_success_rate': 'counter',
  'outlier_detection.ejections_detected_success_rate': 'counter',
  'outlier_detection.ejections_enforced_failure_percentage': 'counter',
  'outlier_detection.ejections_detected_failure_percentage': 'counter',
  'outlier_detection.ejections_enforced_local_origin_success_rate': 'counter',
  'outlier_detection.ejections_detected_local_origin_success_rate': 'counter',
  'outlier_detection.ejections_enforced_local_origin_failure_percentage': 'counter',
  'outlier_detection.ejections_detected_local_origin_failure_percentage': 'counter',
  'outlier_detection.ejections_overflow': 'counter',
  ...clusterHttp2,
  'circuit_breakers.default.cx_open': 'level',
  'circuit_breakers.default.rq_open': 'level',
  'circuit_breakers.default.rq_pending_open': 'level',
  'circuit_breakers.default.rq_retry_open': 'level',
  'circuit_breakers.high.cx_open': 'level',
  'circuit_breakers.high.rq_open': 'level',
  'circuit_breakers.high.rq_pending_open': 'level',
  'circuit_breakers.high.rq_retry_open': 'level',
  upstream_internal_redirect_succeeded_total: 'counter',
  upstream_internal_redirect_failed_total: 'counter',
  'ring_hash_lb.size': 'level',
  'ring_hash_lb.min_hashes_per_host': 'level',
  'ring_hash_lb.max_hashes_per_host': 'level',
  'maglev_lb.min_entries_per_host': 'level',
  'maglev_lb.max_entries_per_host': 'level',
  lb_subsets_active: 'level',
  lb_subsets_created: 'counter',
  lb_subsets_removed: 'counter',
  lb_subsets_selected: 'counter',
  lb_subsets_fallback: 'counter',
  lb_subsets_fallback_panic: 'counter',
  lb_subsets_single_host_per_subset_duplicate: 'level',
});

/**
 * `vhost.<virtual host>.vcluster.<name>.` and `vhost.<virtual host>.route.<stat_prefix>.`; codes 100..599 follow as
 * `upstream_rq_<code>` (codeSlots), then upstream_rq_time.
 */
export const virtualHostStat = block({
  upstream_rq_total: 'counter',
  upstream_rq_timeout: 'counter',
  ...upstreamAnswers,
});

/** `tcp.<stat_prefix>.` */
export const tcpStat = block({
  downstream_cx_total: 'counter',
  downstream_cx_no_route: 'counter',
  downstream_cx_rx_bytes_total: 'counter',
  downstream_cx_tx_bytes_total: 'counter',
  idle_timeout: 'counter',
  max_downstream_connection_duration: 'counter',
});

/** `proxy_proto.<stat_prefix>.` */
export const proxyProtoStat = block({
  not_found_disallowed: 'counter',
  not_found_allowed: 'counter',
  'versions.v1.found': 'counter',
  'versions.v1.disallowed': 'counter',
  'versions.v1.error': 'counter',
  'versions.v2.found': 'counter',
  'versions.v2.disallowed': 'counter',
  'versions.v2.error': 'counter',
});

/** Without a prefix, over all listeners, as in Envoy. */
export const listenerFilterStat = block({ downstream_cx_proxy_proto_error: 'counter' });

/** `connection_limit.<stat_prefix>.` */
export const connectionLimitStat = block({ limited_connections: 'counter', active_connections: 'gauge' });

/** `<prefix>.rbac.` */
export const rbacStat = block({
  allowed: 'counter',
  denied: 'counter',
  shadow_allowed: 'counter',
  shadow_denied: 'counter',
});

/** `server.`-like numbers that a worker itself keeps. */
export const workerStat = block({
  loop_turns: 'counter',
  access_log_dropped: 'counter',
  access_log_lines: 'counter',
  connections_active: 'gauge',
  update_total: 'counter',
});

/** The worker's own block is the first of its slots; what the registry hands out comes after it. */
export const workerStatBase = 0;

/** Response codes 100..599, a slot each. */
export const codeSlots = 500;

/**
 * A log-linear histogram: bucket of v is v below 16, else 8 buckets for each power of two, up to 2^37 (in whole
 * milliseconds or bytes), after two slots with the count and the sum.
 */
export const histogramBuckets = 16 + 8 * 33;
export const histogramSlots = 2 + histogramBuckets;

/** Index of the bucket that holds v (a non-negative whole number; larger ones go to the last bucket). */
export function bucketOf(v: number): number {
  if (v < 16) return v < 0 ? 0 : v | 0;
  const exponent = v >= 0x80000000 ? Math.floor(Math.log2(v)) : 31 - Math.clz32(v);
  const step = Math.floor(v / 2 ** (exponent - 3)) - 8;
  const index = 16 + (exponent - 4) * 8 + step;
  return index < histogramBuckets ? index : histogramBuckets - 1;
}

/** Lower bound of a bucket; the upper bound is the next one's. */
export function bucketFloor(index: number): number {
  if (index < 16) return index;
  const exponent = ((index - 16) >> 3) + 4;
  return (8 + ((index - 16) & 7)) * 2 ** (exponent - 3);
}

/** Adds one value to the histogram that starts at base. */
export function observe(slots: Float64Array, base: number, value: number): void {
  slots[base] = (slots[base] ?? 0) + 1;
  slots[base + 1] = (slots[base + 1] ?? 0) + value;
  const at = base + 2 + bucketOf(value);
  slots[at] = (slots[at] ?? 0) + 1;
}

/**
 * What follows the named numbers of a block: where its codes begin, where it counts them, and each of its histograms;
 * and how many slots that makes. Blocks are handed out by stats/registry.ts.
 */
function tailOf<const H extends string>({ slots: named }: BlockLayout, hasCodes: boolean, ...histograms: readonly H[]) {
  const codes = named.length;
  const first = codes + (hasCodes ? codeSlots : 0);
  const histogram = Object.fromEntries(histograms.map((name, i) => [name, first + i * histogramSlots]));
  return {
    codes,
    histogram: histogram as { readonly [K in H]: number },
    slots: first + histograms.length * histogramSlots,
  };
}

const listenerTail = tailOf(listenerStat.layout, false, 'connections_accepted_per_socket_event');
export const { histogram: listenerHistogram, slots: listenerBlockSlots } = listenerTail;
const httpTail = tailOf(httpStat.layout, false, 'downstream_rq_time');
export const { histogram: httpHistogram, slots: httpBlockSlots } = httpTail;
const clusterTail = tailOf(clusterStat.layout, true, 'upstream_rq_time', 'upstream_cx_connect_ms');
export const { codes: clusterCodes, histogram: clusterHistogram, slots: clusterBlockSlots } = clusterTail;
const virtualHostTail = tailOf(virtualHostStat.layout, true, 'upstream_rq_time');
export const { codes: virtualHostCodes, histogram: virtualHostHistogram, slots: virtualHostSlots } = virtualHostTail;
