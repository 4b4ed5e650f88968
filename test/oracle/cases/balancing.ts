/** Which host a request goes to: subsets, and the circuit breakers of both priorities. */
import { type Group, get, type JsonObject, upstreamOf } from '../case.ts';

const lb = (metadata: JsonObject): JsonObject => ({ filter_metadata: { 'envoy.lb': metadata } });

/** A route of its own for each thing to ask for; the upstream sees the host's name. */
const asking = (group: string, prefix: string, metadata: JsonObject | null): JsonObject => ({
  match: { prefix },
  route: {
    cluster: upstreamOf(group),
    auto_host_rewrite: true,
    ...(metadata === null ? {} : { metadata_match: lb(metadata) }),
  },
});

const hosts: NonNullable<Group['hosts']> = [
  { name: 'prod-1', metadata: { stage: 'prod', version: '1.0', type: 'std' } },
  { name: 'prod-2', metadata: { stage: 'prod', version: '2.0', type: 'big' } },
  { name: 'dev-2', metadata: { stage: 'dev', version: '2.0', n: 5 } },
  { name: 'plain' },
];

function subsets(name: string, config: JsonObject, asked: Readonly<Record<string, JsonObject | null>>): Group {
  const paths = Object.keys(asked);
  return {
    name,
    hosts,
    cluster: { lb_subset_config: config },
    routes: paths.map((path) => asking(name, `/${path}`, asked[path] ?? null)),
    cases: paths.map((path) => ({ name: path, send: get(`/${path}`) })),
  };
}

const selectors = [
  { keys: ['stage'], fallback_policy: 'NO_FALLBACK' },
  { keys: ['stage', 'version'] },
  { keys: ['version', 'type'], fallback_policy: 'KEYS_SUBSET', fallback_keys_subset: ['type'] },
  { keys: ['type'] },
  { keys: ['n'], fallback_policy: 'DEFAULT_SUBSET' },
];

const chosen = {
  exact: { stage: 'prod', version: '2.0' },
  dev: { stage: 'dev' },
  number: { n: 5 },
  'number-other': { n: 6 },
  'number-as-text': { n: '5' },
  'unknown-value': { stage: 'test' },
  'unknown-pair': { stage: 'dev', version: '1.0' },
  'fewer-keys': { version: '9', type: 'big' },
  'fewer-keys-none': { version: '9', type: 'none' },
  'no-selector': { version: '1.0' },
  nothing: null,
} as const;

/** What to try one after the other. */
const listed: Readonly<Record<string, JsonObject>> = {
  second: { stage: 'prod', fallback_list: [{ version: '3.0' }, { version: '2.0' }] },
  'keys-of-its-own': { fallback_list: [{ version: '9', type: 'none' }, { stage: 'dev' }] },
  'goes-over': { stage: 'prod', version: '1.0', fallback_list: [{ stage: 'dev', version: '2.0' }] },
  'none-of-them': { fallback_list: [{ stage: 'test' }, { stage: 'qa' }] },
  'no-list': { stage: 'dev', fallback_list: 'x' },
  'empty-list': { stage: 'dev', fallback_list: [] },
  'text-in-it': { stage: 'dev', fallback_list: ['x', { stage: 'test' }] },
  'only-empty': { fallback_list: [{}] },
};

/** One host in each zone, a capital letter for one that is unhealthy; three requests, one after the other. */
function zones(name: string, places: readonly string[], config: JsonObject = {}, more: JsonObject = {}): Group {
  return {
    name,
    hosts: places.map((place) => ({
      name: place,
      zone: place.toLowerCase(),
      ...(place === place.toLowerCase() ? {} : { health: 'UNHEALTHY' }),
    })),
    cluster: { common_lb_config: { zone_aware_lb_config: { min_cluster_size: 1, ...config }, ...more } },
    routes: [asking(name, '/', null)],
    cases: ['first', 'second', 'third'].map((n) => ({ name: n, send: get('/x') })),
  };
}

/** Hosts are placed by their keys, so that both proxies place them alike. */
function hashed(name: string, policy: JsonObject): Group {
  return {
    name,
    hosts: ['one', 'two', 'three', 'four'].map((key) => ({ name: key, metadata: { hash_key: key } })),
    cluster: policy,
    routes: [
      {
        match: { prefix: '/' },
        route: {
          cluster: upstreamOf(name),
          auto_host_rewrite: true,
          hash_policy: [{ header: { header_name: 'x-key' } }],
        },
      },
    ],
    cases: Array.from({ length: 12 }, (_, i) => ({ name: `key ${i}`, send: get('/', `x-key: key-${i}\n`) })),
  };
}

const breakers = (name: string, thresholds: readonly JsonObject[]): Group => ({
  name,
  cluster: { circuit_breakers: { thresholds } },
  routes: [
    { match: { prefix: '/high' }, route: { cluster: upstreamOf(name), priority: 'HIGH' } },
    { match: { prefix: '/' }, route: { cluster: upstreamOf(name) } },
  ],
  cases: [
    { name: 'high', send: get('/high') },
    { name: 'default', send: get('/low') },
  ],
});

export const balancingGroups: readonly Group[] = [
  subsets('subsets', { subset_selectors: selectors, default_subset: { stage: 'dev' } }, chosen),
  subsets(
    'subsetdefault',
    { subset_selectors: selectors, fallback_policy: 'DEFAULT_SUBSET', default_subset: { stage: 'dev' } },
    chosen,
  ),
  subsets('subsetlist', { subset_selectors: selectors, metadata_fallback_policy: 'FALLBACK_LIST' }, listed),
  subsets('subsetnolist', { subset_selectors: [...selectors, { keys: ['fallback_list'] }] }, listed),
  subsets(
    'subsetlistdefault',
    {
      subset_selectors: selectors,
      metadata_fallback_policy: 'FALLBACK_LIST',
      fallback_policy: 'DEFAULT_SUBSET',
      default_subset: { stage: 'dev' },
    },
    listed,
  ),
  // Half of the load comes from here: with half of the hosts all of it stays, and `there` never has any capacity left.
  zones('zonedirect', ['here', 'there']),
  zones('zonecross', ['there', 'yonder']),
  zones('zonepanic', ['HERE', 'THERE'], { fail_traffic_on_panic: true }),
  zones('zonelost', ['HERE', 'there', 'yonder'], {}, { healthy_panic_threshold: { value: 10 } }),
  hashed('hashring', { lb_policy: 'RING_HASH' }),
  hashed('hashmurmur', { lb_policy: 'RING_HASH', ring_hash_lb_config: { hash_function: 'MURMUR_HASH_2' } }),
  hashed('hashmaglev', { lb_policy: 'MAGLEV' }),
  breakers('priorityhigh', [{ priority: 'HIGH', max_requests: 0 }]),
  breakers('prioritylow', [{ priority: 'DEFAULT', max_requests: 0 }]),
  breakers('prioritypending', [{ priority: 'HIGH', max_pending_requests: 0 }]),
];
