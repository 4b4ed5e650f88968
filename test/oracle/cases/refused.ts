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
    name: 'specific',
    routeConfig: { most_specific_header_mutations_wins: true },
    path: `${hcm}.route_config.most_specific_header_mutations_wins`,
  },
  {
    name: 'attempts',
    virtualHosts: [host('attempts', { include_request_attempt_count: true })],
    path: `${hcm}.route_config.virtual_hosts[0].include_request_attempt_count`,
  },
  {
    name: 'hashed',
    virtualHosts: [host('hashed', {}, { hash_policy: [{ header: { header_name: 'x-user' } }] })],
    path: `${hcm}.route_config.virtual_hosts[0].routes[0].route.hash_policy`,
  },
  {
    name: 'mirrored',
    virtualHosts: [host('mirrored', {}, { request_mirror_policies: [{ cluster: upstreamOf('mirrored') }] })],
    path: `${hcm}.route_config.virtual_hosts[0].routes[0].route.request_mirror_policies`,
  },
  {
    name: 'buffered',
    filters: [{ name: 'buffer', typed_config: { '@type': filterType('buffer.v3.Buffer'), max_request_bytes: 1024 } }],
    path: `${hcm}.http_filters[0].typed_config`,
  },
  { name: 'ringed', cluster: { lb_policy: 'RING_HASH' }, path: 'static_resources.clusters[0].lb_policy' },
];
