/** Subset load balancing: who is picked, whose fallback counts, and the numbers. */
import test, { type ExecutionContext } from 'ava';
import { metadataMatch } from '../config/metadata.ts';
import type { EndpointSpec, MetadataMatchSpec, MetadataValueSpec, SubsetsSpec } from '../model/cluster.ts';
import type { Cluster } from './cluster.ts';
import { createCluster } from './create.ts';
import { clusterSpec, endpoint, type Fixture, fixture, tally } from './testing/cluster-fixture.ts';

type Labels = Readonly<Record<string, string | readonly string[]>>;

function labelled(n: number, labels: Labels, of: Partial<EndpointSpec> = {}): EndpointSpec {
  const metadata: Record<string, MetadataValueSpec> = {};
  for (const [name, value] of Object.entries(labels)) {
    metadata[name] =
      typeof value === 'string'
        ? { value: JSON.stringify(value) }
        : { value: JSON.stringify(value), items: value.map((v) => JSON.stringify(v)) };
  }
  return endpoint(n, { metadata, ...of });
}

function subsets(of: Partial<SubsetsSpec> = {}): SubsetsSpec {
  return {
    fallback: 'none',
    defaultSubset: metadataMatch({}),
    selectors: [],
    panicModeAny: false,
    listAsAny: false,
    localityWeightAware: false,
    scaleLocalityWeight: false,
    ...of,
  };
}

const selector = (
  keys: readonly string[],
  fallback: SubsetsSpec['selectors'][number]['fallback'] = 'not-defined',
  fallbackKeys: readonly string[] = [],
): SubsetsSpec['selectors'][number] => ({ keys, fallback, fallbackKeys, singleHost: false });

const shop = [
  labelled(1, { stage: 'prod', version: 'v1' }),
  labelled(2, { stage: 'prod', version: 'v2' }),
  labelled(3, { stage: 'dev', version: 'v2' }),
  endpoint(4),
];

function make(spec: Partial<SubsetsSpec>, endpoints = shop): { readonly cluster: Cluster; readonly f: Fixture } {
  const f = fixture();
  const cluster = createCluster(clusterSpec({ subsets: subsets(spec) }), f.runtime);
  cluster.setEndpoints({ cluster: 'c', endpoints });
  return { cluster, f };
}

/** Numbers of the hosts that 40 requests go to, or `none`. */
function goesTo(cluster: Cluster, wanted: Labels | null): string {
  const subset: MetadataMatchSpec | null = wanted === null ? null : metadataMatch({ ...wanted } as never);
  const picks = Array.from({ length: 40 }, () => cluster.pick({ tried: [], destination: null, subset }));
  const seen = tally(picks.map((p) => (p.kind === 'host' ? (p.host.address.ip.split('.').at(-1) ?? '') : 'none')));
  return Object.keys(seen).sort().join(',');
}

function picks(t: ExecutionContext, cluster: Cluster, table: readonly (readonly [Labels | null, string])[]): void {
  for (const [wanted, hosts] of table) t.is(goesTo(cluster, wanted), hosts, JSON.stringify(wanted));
}

test('a request goes to the hosts with exactly its values of exactly the keys of a selector', (t) => {
  const { cluster, f } = make({ selectors: [selector(['stage']), selector(['stage', 'version'])] });
  picks(t, cluster, [
    [{ stage: 'prod' }, '1,2'],
    [{ stage: 'dev' }, '3'],
    [{ version: 'v2', stage: 'prod' }, '2'],
    [{ stage: 'test' }, 'none'],
    [{ version: 'v2' }, 'none'],
    [{ stage: 'prod', version: 'v1', more: 'x' }, 'none'],
    [null, 'none'],
  ]);
  t.is(f.stat('lb_subsets_active'), 5);
  t.is(f.stat('lb_subsets_created'), 5);
  t.is(f.stat('lb_subsets_selected'), 120);
  t.is(f.stat('lb_subsets_fallback'), 0);
  t.is(f.stat('upstream_cx_none_healthy'), 160);
});

test('fallback to any endpoint, or to the default subset', (t) => {
  const any = make({ fallback: 'any', selectors: [selector(['stage'])] });
  picks(t, any.cluster, [
    [{ stage: 'test' }, '1,2,3,4'],
    [null, '1,2,3,4'],
  ]);
  t.is(any.f.stat('lb_subsets_fallback'), 80);
  const stage = selector(['stage']);
  const dev = make({ fallback: 'default', defaultSubset: metadataMatch({ stage: 'dev' }), selectors: [stage] });
  picks(t, dev.cluster, [
    [{ stage: 'prod' }, '1,2'],
    [{ stage: 'test' }, '3'],
    [null, '3'],
  ]);
});

test('a default subset that is empty, and panic_mode_any', (t) => {
  const spec = { fallback: 'default', defaultSubset: metadataMatch({ stage: 'x' }), selectors: [selector(['stage'])] };
  const without = make(spec as Partial<SubsetsSpec>);
  t.is(goesTo(without.cluster, { stage: 'test' }), 'none');
  const { cluster, f } = make({ ...spec, panicModeAny: true } as Partial<SubsetsSpec>);
  t.is(goesTo(cluster, { stage: 'test' }), '1,2,3,4');
  t.is(f.stat('lb_subsets_fallback_panic'), 40);
});

test("a selector's own fallback goes before the cluster's", (t) => {
  const { cluster } = make({
    fallback: 'any',
    defaultSubset: metadataMatch({ stage: 'dev' }),
    selectors: [
      selector(['stage'], 'none'),
      selector(['version'], 'default'),
      selector(['stage', 'version'], 'keys', ['version']),
      selector(['a', 'b'], 'keys', ['a']),
    ],
  });
  picks(t, cluster, [
    [{ stage: 'test' }, 'none'],
    [{ version: 'v9' }, '3'],
    [{ stage: 'test', version: 'v2' }, '2,3'],
    [{ stage: 'test', version: 'v9' }, '3'],
    [{ a: '1', b: '2' }, '1,2,3,4'],
  ]);
});

test('a list stands for each of its items where that is asked for', (t) => {
  const hosts = [labelled(1, { stage: ['prod', 'dev'] }), labelled(2, { stage: 'dev' })];
  const each = make({ listAsAny: true, selectors: [selector(['stage'])] }, hosts);
  picks(t, each.cluster, [
    [{ stage: 'prod' }, '1'],
    [{ stage: 'dev' }, '1,2'],
  ]);
  const whole = make({ selectors: [selector(['stage'])] }, hosts);
  picks(t, whole.cluster, [
    [{ stage: 'prod' }, 'none'],
    [{ stage: ['prod', 'dev'] }, '1'],
  ]);
});

test('one host for each subset: the first one, and the others are counted', (t) => {
  const { cluster, f } = make({ selectors: [{ ...selector(['stage']), singleHost: true }] });
  t.is(goesTo(cluster, { stage: 'prod' }), '1');
  t.is(f.stat('lb_subsets_single_host_per_subset_duplicate'), 1);
});

test('hosts that go take their subsets with them; health counts within a subset', (t) => {
  const { cluster, f } = make({ selectors: [selector(['stage'])] });
  cluster.setEndpoints({
    cluster: 'c',
    endpoints: [labelled(1, { stage: 'prod' }, { health: 'unhealthy' }), labelled(2, { stage: 'prod' })],
  });
  t.is(goesTo(cluster, { stage: 'prod' }), '2');
  t.is(goesTo(cluster, { stage: 'dev' }), 'none');
  t.is(f.stat('lb_subsets_active'), 1);
  t.is(f.stat('lb_subsets_removed'), 1);
});

test('locality weights within a subset, and scaled by the share of the locality that is in it', (t) => {
  const at = (n: number, stage: string, locality: string, localityWeight: number): EndpointSpec =>
    labelled(n, { stage }, { locality, localityWeight });
  const hosts = [at(1, 'prod', 'a', 3), at(2, 'dev', 'a', 3), at(3, 'dev', 'a', 3), at(4, 'prod', 'b', 1)];
  const share = (scaleLocalityWeight: boolean): number => {
    const f = fixture();
    const spec = subsets({ localityWeightAware: true, scaleLocalityWeight, selectors: [selector(['stage'])] });
    const cluster = createCluster(clusterSpec({ localityWeighted: true, subsets: spec }), f.runtime);
    cluster.setEndpoints({ cluster: 'c', endpoints: hosts });
    const subset = metadataMatch({ stage: 'prod' });
    const seen = Array.from({ length: 400 }, () => cluster.pick({ tried: [], destination: null, subset }));
    return seen.filter((p) => p.kind === 'host' && p.host.address.ip === '10.0.0.1').length;
  };
  t.is(share(false), 300);
  t.is(share(true), 200);
});

test('a list of fallbacks: each goes over what else is asked for, the first with a host wins', (t) => {
  const selectors = [selector(['stage']), selector(['stage', 'version'], 'none')];
  const wanted = (list: unknown, more: Labels = {}): Labels => ({ ...more, fallback_list: list }) as never;
  const { cluster, f } = make({ selectors, fallback: 'none', fallbackList: true });
  picks(t, cluster, [
    [wanted([{ version: 'v9' }, { version: 'v2' }, { version: 'v1' }], { stage: 'prod', version: 'v1' }), '2'],
    [wanted([{ stage: 'test' }, { stage: 'dev' }]), '3'],
    [wanted([{ stage: 'test' }, { stage: 'qa' }]), 'none'],
    [wanted([], { stage: 'dev' }), '3'],
    [wanted('text', { stage: 'dev' }), '3'],
    [wanted(['text'], { stage: 'dev' }), '3'],
    [{ stage: 'prod' }, '1,2'],
  ]);
  t.is(f.stat('lb_subsets_selected'), 240);
  const any = make({ selectors: [selector(['stage'])], fallback: 'any', fallbackList: true });
  picks(t, any.cluster, [[wanted([{ stage: 'test' }, { stage: 'dev' }]), '1,2,3,4']]);
});

test('without that policy fallback_list is a name like any other', (t) => {
  const { cluster } = make({ selectors: [selector(['stage'])] });
  picks(t, cluster, [[{ stage: 'prod', fallback_list: [{ stage: 'dev' }] } as never, 'none']]);
});
