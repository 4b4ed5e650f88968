/** The tables of `meshctl config`. */
import type { Column } from '../output/table.ts';
import type { ClusterRow, EndpointRow, ListenerRow, RouteRow } from './rows.ts';

export const listenerColumns: readonly Column<ListenerRow>[] = [
  { title: 'LISTENER', value: (r) => r.listener },
  { title: 'ADDRESS', value: (r) => r.address },
  { title: 'FILTER CHAIN', value: (r) => r.filterChain },
  { title: 'MATCH', value: (r) => r.match },
  { title: 'DESTINATION', value: (r) => r.destination },
  { title: 'FILTERS', value: (r) => r.filters },
];
export const clusterColumns: readonly Column<ClusterRow>[] = [
  { title: 'CLUSTER', value: (r) => r.cluster },
  { title: 'TYPE', value: (r) => r.type },
  { title: 'BALANCING', value: (r) => r.balancing },
  { title: 'IDENTITIES', value: (r) => r.identities.join(', ') || '-' },
];
export const routeColumns: readonly Column<RouteRow>[] = [
  { title: 'ROUTES', value: (r) => r.routeConfig },
  { title: 'DOMAINS', value: (r) => r.domains },
  { title: 'ROUTE', value: (r) => r.route },
  { title: 'MATCH', value: (r) => r.match },
  { title: 'DESTINATION', value: (r) => r.destination },
  { title: 'TIMEOUT', value: (r) => r.timeout, right: true },
  { title: 'RETRIES', value: (r) => r.retries },
];
export const endpointColumns: readonly Column<EndpointRow>[] = [
  { title: 'CLUSTER', value: (r) => r.cluster },
  { title: 'ADDRESS', value: (r) => r.address },
  { title: 'HEALTH', value: (r) => r.health },
  { title: 'WEIGHT', value: (r) => String(r.weight), right: true },
  { title: 'REQUESTS', value: (r) => String(r.requests), right: true },
  { title: 'ERRORS', value: (r) => String(r.errors), right: true },
  { title: 'ACTIVE', value: (r) => String(r.active), right: true },
];
