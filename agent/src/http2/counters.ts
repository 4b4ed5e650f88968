/** What the codec counts, by Envoy's names (`http2.` in the scope of the listener's or cluster's statistics). */

export const http2StatKinds = {
  dropped_headers_with_underscores: 'counter',
  goaway_sent: 'counter',
  header_overflow: 'counter',
  headers_cb_no_stream: 'counter',
  inbound_empty_frames_flood: 'counter',
  inbound_priority_frames_flood: 'counter',
  inbound_window_update_frames_flood: 'counter',
  keepalive_timeout: 'counter',
  outbound_control_flood: 'counter',
  outbound_control_frames_active: 'gauge',
  outbound_flood: 'counter',
  outbound_frames_active: 'gauge',
  pending_send_bytes: 'gauge',
  requests_rejected_with_underscores_in_headers: 'counter',
  rx_messaging_error: 'counter',
  rx_reset: 'counter',
  stream_refused_errors: 'counter',
  streams_active: 'gauge',
  trailers: 'counter',
  tx_flush_timeout: 'counter',
  tx_reset: 'counter',
} as const;

export type Http2Stat = keyof typeof http2StatKinds;

/** `slots[at.rx_reset]++`: the worker's numbers and where these live in them. */
export interface Http2Counters {
  readonly slots: Float64Array;
  readonly at: { readonly [S in Http2Stat]: number };
}

/** Counters of their own, for whoever has no block of statistics. */
export function privateCounters(): Http2Counters {
  const names = Object.keys(http2StatKinds) as Http2Stat[];
  const at = Object.fromEntries(names.map((name, i) => [name, i])) as { readonly [S in Http2Stat]: number };
  return { slots: new Float64Array(names.length), at };
}

/** Counters in the worker's slots; at: their offsets in the block that starts at base. */
export function countersAt(
  slots: Float64Array,
  base: number | undefined,
  at: (name: Http2Stat) => number,
): Http2Counters {
  if (base === undefined) return privateCounters();
  const names = Object.keys(http2StatKinds) as Http2Stat[];
  const places = Object.fromEntries(names.map((name) => [name, base + at(name)]));
  return { slots, at: places as { readonly [S in Http2Stat]: number } };
}

export function countStat(counters: Http2Counters, stat: Http2Stat, n: number): void {
  const { slots, at } = counters;
  const slot = at[stat];
  slots[slot] = (slots[slot] as number) + n;
}
