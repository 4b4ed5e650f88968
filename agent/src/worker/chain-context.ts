/** What a terminal filter (HTTP connection manager, TCP proxy) knows of the filter chain it stands in. */
export interface ChainContext {
  readonly direction: 'inbound' | 'outbound' | 'unspecified';
  /** Name of the filter chain, for the edge table and logs. */
  readonly name: string;
  readonly listener: string;
  /** First slot of the listener's ListenerStat block. */
  readonly listenerStats: number;
  readonly bufferLimitBytes: number;
  /** The chain was changed or removed: finish the requests at hand and say Connection: close. */
  readonly draining: boolean;
}
