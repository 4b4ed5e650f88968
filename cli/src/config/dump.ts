/** The part of Envoy's config dump that the tables of `meshctl config` read; whatever is absent shows as a dash. */

export interface SocketAddress {
  readonly socket_address?: { readonly address?: string; readonly port_value?: number };
}

export interface Match {
  readonly prefix_ranges?: readonly { readonly address_prefix?: string; readonly prefix_len?: number }[];
  readonly destination_port?: number;
  readonly transport_protocol?: string;
  readonly application_protocols?: readonly string[];
  readonly server_names?: readonly string[];
}

export interface FilterChain {
  readonly name?: string;
  readonly filter_chain_match?: Match;
  readonly filters?: readonly {
    readonly name?: string;
    readonly typed_config?: {
      readonly cluster?: string;
      readonly rds?: { readonly route_config_name?: string };
      readonly route_config?: RouteConfiguration;
      readonly http_filters?: readonly { readonly name?: string }[];
    };
  }[];
}

export interface Listener {
  readonly name?: string;
  readonly address?: SocketAddress;
  readonly filter_chains?: readonly FilterChain[];
  readonly default_filter_chain?: FilterChain;
}

interface SanMatch {
  readonly matcher?: { readonly exact?: string; readonly prefix?: string };
}

interface TransportSocket {
  readonly name?: string;
  readonly typed_config?: {
    readonly common_tls_context?: {
      readonly combined_validation_context?: {
        readonly default_validation_context?: { readonly match_typed_subject_alt_names?: readonly SanMatch[] };
      };
    };
  };
}

export interface Cluster {
  readonly name?: string;
  readonly type?: string;
  readonly lb_policy?: string;
  readonly transport_socket?: TransportSocket;
  readonly transport_socket_matches?: readonly { readonly transport_socket?: TransportSocket }[];
}

interface HeaderMatch {
  readonly name?: string;
  readonly string_match?: {
    readonly exact?: string;
    readonly prefix?: string;
    readonly safe_regex?: { readonly regex?: string };
  };
}

export interface Route {
  readonly name?: string;
  readonly match?: {
    readonly prefix?: string;
    readonly path?: string;
    readonly path_separated_prefix?: string;
    readonly safe_regex?: { readonly regex?: string };
    readonly headers?: readonly HeaderMatch[];
  };
  readonly route?: {
    readonly cluster?: string;
    readonly weighted_clusters?: {
      readonly clusters?: readonly { readonly name?: string; readonly weight?: number }[];
    };
    readonly timeout?: string;
    readonly retry_policy?: { readonly num_retries?: number; readonly retry_on?: string };
  };
  readonly redirect?: unknown;
  readonly direct_response?: { readonly status?: number };
}

export interface RouteConfiguration {
  readonly name?: string;
  readonly virtual_hosts?: readonly {
    readonly name?: string;
    readonly domains?: readonly string[];
    readonly routes?: readonly Route[];
  }[];
}

interface Stored {
  readonly cluster?: Cluster;
  readonly listener?: Listener;
  readonly route_config?: RouteConfiguration;
  readonly active_state?: { readonly listener?: Listener };
}

/** GET /config_dump. */
export interface ConfigDump {
  readonly configs?: readonly {
    readonly static_clusters?: readonly Stored[];
    readonly dynamic_active_clusters?: readonly Stored[];
    readonly static_listeners?: readonly Stored[];
    readonly dynamic_listeners?: readonly Stored[];
    readonly dynamic_route_configs?: readonly Stored[];
  }[];
}

const present = <T>(value: T | undefined): readonly T[] => (value === undefined ? [] : [value]);

export function clustersIn({ configs = [] }: ConfigDump): readonly Cluster[] {
  return configs.flatMap((c) =>
    [...(c.static_clusters ?? []), ...(c.dynamic_active_clusters ?? [])].flatMap((s) => present(s.cluster)),
  );
}

export function listenersIn({ configs = [] }: ConfigDump): readonly Listener[] {
  return configs.flatMap((c) => [
    ...(c.static_listeners ?? []).flatMap((s) => present(s.listener)),
    ...(c.dynamic_listeners ?? []).flatMap((s) => present(s.active_state?.listener)),
  ]);
}

/** Those of their own, and those that stand inside a listener. */
export function routesIn(dump: ConfigDump): readonly RouteConfiguration[] {
  const inline = listenersIn(dump).flatMap((l) =>
    chainsOf(l).flatMap((chain) => (chain.filters ?? []).flatMap((f) => present(f.typed_config?.route_config))),
  );
  const own = (dump.configs ?? []).flatMap((c) =>
    (c.dynamic_route_configs ?? []).flatMap((s) => present(s.route_config)),
  );
  return [...inline, ...own];
}

export function chainsOf(listener: Listener): readonly FilterChain[] {
  return [...(listener.filter_chains ?? []), ...present(listener.default_filter_chain)];
}
