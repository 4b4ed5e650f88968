/** What Envoy takes and the agent does not implement: it must say so with the path, never run without it. */
import { filterType, type Group, type Json, upstreamOf } from '../case.ts';

export interface Refused extends Omit<Group, 'cases'> {
  /** Stands in what the agent says. */
  readonly path: string;
}

const hcm = 'static_resources.listeners[0].filter_chains[0].filters[0].typed_config';

const host = (
  name: string,
  more: { readonly [key: string]: Json },
  action: { readonly [key: string]: Json } = {},
): Json => ({
  name: 'all',
  domains: ['*'],
  routes: [{ match: { prefix: '/' }, route: { cluster: upstreamOf(name), ...action } }],
  ...more,
});

export const refused: readonly Refused[] = [
  {
    name: 'hedged',
    virtualHosts: [host('hedged', {}, { hedge_policy: { hedge_on_per_try_timeout: true } })],
    path: `${hcm}.route_config.virtual_hosts[0].routes[0].route.hedge_policy`,
  },
  {
    name: 'buffered',
    filters: [{ name: 'buffer', typed_config: { '@type': filterType('buffer.v3.Buffer'), max_request_bytes: 1024 } }],
    path: `${hcm}.http_filters[0].typed_config`,
  },
  {
    name: 'proxystatus',
    manager: { proxy_status_config: {} },
    path: `${hcm}.proxy_status_config`,
  },
  {
    name: 'closing',
    cluster: { common_lb_config: { close_connections_on_host_set_change: true } },
    path: 'static_resources.clusters[0].common_lb_config.close_connections_on_host_set_change',
  },
];
