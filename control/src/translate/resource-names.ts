/** Names of clusters, routes and filter chains; statistics and access logs carry them, so they are kept stable. */

export const clusterDomain = 'svc.cluster.local';
export const passthrough = 'passthrough';
/** A cluster without endpoints, for the share of a route whose backend does not exist. */
export const nowhere = 'nowhere';
export const otherInbound = 'inbound|any';

/** Cluster, endpoints, route and filter chain of a Service's port. */
export const outboundName = (namespace: string, service: string, port: number): string =>
  `outbound|${port}||${service}.${namespace}.${clusterDomain}`;

/** Cluster for calls straight to the pods of a service account. */
export const directName = (identity: string): string => `direct||${identity}`;

export const inboundName = (port: number): string => `inbound|${port}`;
