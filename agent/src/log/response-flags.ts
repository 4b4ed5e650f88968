/** Envoy's response flags: the short names that records carry and the long ones some formats ask for. */

export const responseFlags = {
  UF: 'UpstreamConnectionFailure',
  UC: 'UpstreamConnectionTermination',
  UH: 'NoHealthyUpstream',
  UO: 'UpstreamOverflow',
  UT: 'UpstreamRequestTimeout',
  UR: 'UpstreamRemoteReset',
  LR: 'ConnectionTermination',
  URX: 'UpstreamRetryLimitExceeded',
  UPE: 'UpstreamProtocolError',
  NR: 'NoRouteFound',
  NC: 'NoClusterFound',
  DC: 'DownstreamConnectionTermination',
  DR: 'DownstreamRemoteReset',
  DPE: 'DownstreamProtocolError',
  DT: 'DurationTimeout',
  SI: 'StreamIdleTimeout',
  RL: 'RateLimited',
  RLSE: 'RateLimitServiceError',
  UAEX: 'UnauthorizedExternalService',
  FI: 'FaultInjected',
  DI: 'DelayInjected',
  IH: 'InvalidEnvoyRequestHeaders',
  OM: 'OverloadManagerTerminated',
} as const;

/** `UF,URX` as `UpstreamConnectionFailure,UpstreamRetryLimitExceeded`. */
export function longFlags(short: string): string {
  const names: Readonly<Record<string, string>> = responseFlags;
  return short
    .split(',')
    .map((flag) => names[flag] ?? flag)
    .join(',');
}
