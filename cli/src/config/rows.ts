/** The rows of `meshctl config`: what one agent was told, in the words of Envoy's API. Pure. */
import {
  type Cluster,
  type ConfigDump,
  chainsOf,
  clustersIn,
  type FilterChain,
  type Listener,
  listenersIn,
  type Match,
  type Route,
  routesIn,
} from './dump.ts';

export interface ListenerRow {
  readonly listener: string;
  readonly address: string;
  readonly filterChain: string;
  readonly match: string;
  readonly filters: string;
  /** The cluster, or the route configuration. */
  readonly destination: string;
}

export interface ClusterRow {
  readonly cluster: string;
  readonly type: string;
  readonly balancing: string;
  /** SPIFFE IDs that its endpoints must prove; empty for plaintext. */
  readonly identities: readonly string[];
}

export interface RouteRow {
  readonly routeConfig: string;
  readonly domains: string;
  readonly route: string;
  readonly match: string;
  readonly destination: string;
  readonly timeout: string;
  readonly retries: string;
}

export interface EndpointRow {
  readonly cluster: string;
  readonly address: string;
  readonly health: string;
  readonly weight: number;
  readonly requests: number;
  readonly errors: number;
  readonly active: number;
}

const dash = '-';
const joined = (parts: readonly (string | undefined)[]): string =>
  parts.filter((p) => p !== undefined).join(' ') || dash;

function matchText(match: Match | undefined, isDefault: boolean): string {
  if (isDefault) return 'anything else';
  const ranges = match?.prefix_ranges?.map((r) => `${r.address_prefix}/${r.prefix_len ?? 0}`) ?? [];
  const list = (title: string, values: readonly string[] | undefined): string | undefined =>
    values === undefined || values.length === 0 ? undefined : `${title}=${values.join(',')}`;
  const more = ranges.length > 2 ? [`${ranges.slice(0, 2).join(',')} and ${ranges.length - 2} more`] : ranges;
  return joined([
    list('address', more),
    match?.destination_port === undefined ? undefined : `port=${match.destination_port}`,
    match?.transport_protocol === undefined ? undefined : `transport=${match.transport_protocol}`,
    list('alpn', match?.application_protocols),
    list('sni', match?.server_names),
  ]);
}

const shortName = (name = ''): string => name.split('.').at(-1) ?? name;

function chainRow(listener: Listener, chain: FilterChain, isDefault: boolean): ListenerRow {
  const { address, port_value } = listener.address?.socket_address ?? {};
  const configs = (chain.filters ?? []).map((f) => f.typed_config);
  const http = configs.flatMap((c) => c?.http_filters ?? []).map((f) => shortName(f.name));
  const names = (chain.filters ?? []).map((f) => shortName(f.name));
  const routes = configs.map((c) => c?.rds?.route_config_name ?? c?.route_config?.name).find((n) => n !== undefined);
  const cluster = configs.map((c) => c?.cluster).find((n) => n !== undefined);
  return {
    listener: listener.name ?? dash,
    address: address === undefined ? dash : `${address}:${port_value ?? 0}`,
    filterChain: chain.name ?? dash,
    match: matchText(chain.filter_chain_match, isDefault),
    filters: [...names, ...http.map((n) => `http:${n}`)].join(',') || dash,
    destination: routes === undefined ? (cluster ?? dash) : `routes ${routes}`,
  };
}

export function listenerRows(dump: ConfigDump): readonly ListenerRow[] {
  return listenersIn(dump).flatMap((l) =>
    chainsOf(l).map((chain) => chainRow(l, chain, chain === l.default_filter_chain)),
  );
}

function identitiesOf(cluster: Cluster): readonly string[] {
  const sockets = [
    cluster.transport_socket,
    ...(cluster.transport_socket_matches ?? []).map((m) => m.transport_socket),
  ];
  const ids = sockets.flatMap((s) => {
    const context = s?.typed_config?.common_tls_context?.combined_validation_context?.default_validation_context;
    return (context?.match_typed_subject_alt_names ?? []).flatMap(
      (m) => m.matcher?.exact ?? (m.matcher?.prefix === undefined ? [] : `${m.matcher.prefix}*`),
    );
  });
  return [...new Set(ids)].sort();
}

export function clusterRows(dump: ConfigDump): readonly ClusterRow[] {
  return clustersIn(dump).map((c) => ({
    cluster: c.name ?? dash,
    type: c.type ?? 'STATIC',
    balancing: c.lb_policy ?? 'ROUND_ROBIN',
    identities: identitiesOf(c),
  }));
}

function routeMatch({ match }: Route): string {
  const path =
    match?.path ??
    (match?.path_separated_prefix === undefined ? undefined : `${match.path_separated_prefix}/*`) ??
    (match?.safe_regex === undefined ? undefined : `~${match.safe_regex.regex}`) ??
    (match?.prefix === undefined ? undefined : `${match.prefix}*`);
  const headers = (match?.headers ?? []).map((h) => {
    const { exact, prefix, safe_regex } = h.string_match ?? {};
    return `${h.name}=${exact ?? (prefix === undefined ? undefined : `${prefix}*`) ?? (safe_regex === undefined ? 'present' : `~${safe_regex.regex}`)}`;
  });
  return joined([path, ...headers]);
}

function routeDestination(route: Route): string {
  if (route.redirect !== undefined) return 'redirect';
  if (route.direct_response !== undefined) return `answer ${route.direct_response.status ?? ''}`.trim();
  const weighted = route.route?.weighted_clusters?.clusters;
  if (weighted !== undefined) return weighted.map((c) => `${c.name} (${c.weight ?? 0})`).join(', ');
  return route.route?.cluster ?? dash;
}

/** Envoy's default stands where nothing is set. */
const timeoutText = (timeout = '15s'): string => (timeout === '0s' ? 'none' : timeout);

export function routeRows(dump: ConfigDump): readonly RouteRow[] {
  return routesIn(dump).flatMap((config) =>
    (config.virtual_hosts ?? []).flatMap((host) =>
      (host.routes ?? []).map((route) => {
        const { timeout, retry_policy } = route.route ?? {};
        return {
          routeConfig: config.name ?? dash,
          domains: (host.domains ?? []).slice(0, 3).join(',') || dash,
          route: route.name ?? dash,
          match: routeMatch(route),
          destination: routeDestination(route),
          timeout: route.route === undefined ? dash : timeoutText(timeout),
          retries:
            retry_policy === undefined ? dash : `${retry_policy.num_retries ?? 1} on ${retry_policy.retry_on ?? dash}`,
        };
      }),
    ),
  );
}

/** GET /clusters?format=json. */
export interface ClustersPage {
  readonly cluster_statuses?: readonly {
    readonly name?: string;
    readonly host_statuses?: readonly {
      readonly address?: { readonly socket_address?: { readonly address?: string; readonly port_value?: number } };
      readonly stats?: readonly { readonly name?: string; readonly value?: string }[];
      readonly health_status?: Readonly<Record<string, unknown>>;
      readonly weight?: number;
    }[];
  }[];
}

function healthText(health: Readonly<Record<string, unknown>> = {}): string {
  const failed = Object.entries(health).flatMap(([name, value]) =>
    value === true ? [name.replace(/^failed_/, '')] : [],
  );
  if (health['eds_health_status'] !== undefined && health['eds_health_status'] !== 'HEALTHY') failed.push('eds');
  return failed.length === 0 ? 'healthy' : `failed: ${failed.join(',')}`;
}

export function endpointRows(page: ClustersPage): readonly EndpointRow[] {
  return (page.cluster_statuses ?? []).flatMap((c) =>
    (c.host_statuses ?? []).map((h) => {
      const stat = (name: string): number => Number(h.stats?.find((s) => s.name === name)?.value ?? 0);
      const { address = dash, port_value = 0 } = h.address?.socket_address ?? {};
      return {
        cluster: c.name ?? dash,
        address: address.includes(':') ? `[${address}]:${port_value}` : `${address}:${port_value}`,
        health: healthText(h.health_status),
        weight: h.weight ?? 1,
        requests: stat('rq_total'),
        errors: stat('rq_error'),
        active: stat('rq_active'),
      };
    }),
  );
}
