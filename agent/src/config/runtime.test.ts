import test from 'ava';
import type { CompiledBootstrap } from './bootstrap.ts';
import { adsSource, bootstrapOf, hcm, type Json, listenerWith } from './testing/compile.ts';

const fraction = (key: string, percent: number): Json => ({
  runtime_key: key,
  default_value: { numerator: percent },
});

function bootstrap(layers: readonly Json[], fractionKey = 'f'): CompiledBootstrap {
  const routes = [
    { match: { prefix: '/', runtime_fraction: fraction(fractionKey, 10) }, route: { cluster: 'c', timeout: '1s' } },
    {
      match: { prefix: '/' },
      route: {
        weighted_clusters: {
          runtime_key_prefix: 'split',
          clusters: [
            { name: 'c', weight: 1 },
            { name: 'd', weight: 9 },
          ],
        },
      },
    },
  ];
  const listener = listenerWith([hcm({ route_config: { virtual_hosts: [{ name: 'v', domains: ['*'], routes }] } })]);
  const circuit = { thresholds: [{ max_requests: 5 }, { priority: 'HIGH', max_requests: 6 }] };
  return bootstrapOf({
    layered_runtime: { layers },
    static_resources: {
      listeners: [{ ...listener, name: '' }],
      clusters: [{ name: 'c', circuit_breakers: circuit }, { name: 'd' }],
    },
  });
}

type Shown = { readonly fraction: number | null | undefined; readonly weights: readonly number[] | null };

function shown({ listeners }: Pick<CompiledBootstrap, 'listeners'>): Shown {
  const [first, second] = listeners[0]?.inlineRoutes[0]?.virtualHosts[0]?.routes ?? [];
  const action = second?.action;
  return {
    fraction: first?.match.fraction,
    weights: action?.kind === 'route' ? action.clusters.map((c) => c.weight) : null,
  };
}

const layer = (name: string, values: Json): Json => ({ name, static_layer: values });

test('what a key says stands above what the configuration says, the last layer above the others', (t) => {
  t.deepEqual(shown(bootstrap([])), { fraction: 0.1, weights: [1, 9] });
  t.is(shown(bootstrap([layer('a', { f: 50 })])).fraction, 0.5);
  t.is(shown(bootstrap([layer('a', { f: 50 }), layer('b', { f: 70 })])).fraction, 0.7);
  t.is(shown(bootstrap([layer('a', { f: { numerator: 5, denominator: 'TEN_THOUSAND' } })])).fraction, 0.0005);
  t.is(shown(bootstrap([layer('a', { f: 200 })])).fraction, 1);
  t.is(shown(bootstrap([layer('a', { f: 'text' })])).fraction, 0.1, 'what is no number does nothing');
  t.is(shown(bootstrap([layer('a', { f: -1 })])).fraction, 0.1);
  t.deepEqual(shown(bootstrap([layer('a', { split: { c: 8, d: '2' } })])).weights, [8, 2]);
  const limits = { circuit_breakers: { c: { default: { max_requests: 50 }, high: { max_requests: 60 } } } };
  const [c, d] = bootstrap([layer('a', limits)]).clusters;
  t.is(c?.spec.circuit.maxRequests, 50);
  t.is(c?.spec.highCircuit?.maxRequests, 60);
  t.is(d?.spec.circuit.maxRequests, 1024);
  const silent = { circuit_breakers: { d: { default: { max_requests: 7 }, high: { max_retries: 8 } } } };
  const [, e] = bootstrap([layer('a', silent)]).clusters;
  t.is(e?.spec.circuit.maxRequests, 7, 'also where the cluster says nothing');
  t.like(e?.spec.highCircuit, { maxRetries: 8, maxRequests: 1024 });
  t.is(d?.spec.highCircuit, undefined);
});

test('the admin layer changes what is compiled from then on; a listener keeps its made-up name', (t) => {
  const boot = bootstrap([layer('a', { f: 50 }), { name: 'adm', admin_layer: {} }]);
  const { runtime } = boot;
  t.true(runtime.modify([['f', '0']]));
  const again = boot.recompile();
  t.is(shown(again).fraction, 0);
  t.is(again.listeners[0]?.spec.name, boot.listeners[0]?.spec.name);
  t.is(again.listeners[0]?.spec.chains[0]?.key, boot.listeners[0]?.spec.chains[0]?.key);
  t.deepEqual(runtime.json(), {
    layers: ['a', 'adm'],
    entries: { f: { layer_values: ['50', '0'], final_value: '0' } },
  });
  runtime.modify([['f', '']]);
  t.is(shown(boot.recompile()).fraction, 0.5);
  t.false(bootstrap([]).runtime.modify([['f', '1']]), 'without an admin layer');
});

const at = 'layered_runtime.layers';
for (const [what, layers, message] of [
  ['two layers of one name', [layer('a', {}), layer('a', {})], `${at}[1].name: Duplicate layer name: a`],
  [
    'two admin layers',
    [
      { name: 'a', admin_layer: {} },
      { name: 'b', admin_layer: {} },
    ],
    `${at}[1].admin_layer: Too many admin layers specified in LayeredRuntime`,
  ],
  ['a list', [layer('a', { x: { y: [1] } })], `${at}[0].static_layer: Invalid runtime entry value for x.y`],
  [
    'a broken fraction',
    [layer('a', { x: { numerator: 1, denominator: 'TEN' } })],
    `${at}[0].static_layer: Invalid runtime entry value for x`,
  ],
] as const) {
  test(`${what} is refused by path and name`, (t) => {
    t.is(t.throws(() => bootstrap(layers))?.message, message);
  });
}

test('a switch: true and false, their words, and numbers', (t) => {
  const { runtime } = bootstrap([
    layer('a', { on: true, yes: ' True\n', one: 1, off: 'false', zero: 0, text: 'x', half: 0.5 }),
  ]);
  t.deepEqual(
    ['on', 'yes', 'one', 'off', 'zero'].map((key) => runtime.flag(key, key === 'off' || key === 'zero')),
    [true, true, true, false, false],
  );
  for (const key of ['text', 'half', 'absent']) t.is(runtime.flag(key, true), true);
  t.is(runtime.flag('absent', false), false);
});

test('a fraction as text, as files and the admin interface have it', (t) => {
  const { runtime } = bootstrap([{ name: 'adm', admin_layer: {} }]);
  runtime.modify([
    ['yaml', 'numerator: 5\ndenominator: TEN_THOUSAND'],
    ['json', '{"numerator": 25}'],
    ['broken', '{numerator: '],
    ['other', 'numerator'],
  ]);
  t.is(runtime.share('yaml', 1), 0.0005);
  t.is(runtime.share('json', 1), 0.25);
  t.is(runtime.share('broken', 0.5), 0.5);
  t.is(runtime.share('other', 0.5), 0.5);
});

test('a text in a static layer is no fraction, but may be a number; what is behind the point is cut off', (t) => {
  const { runtime } = bootstrap([
    layer('a', { fraction: 'numerator: 5', text: '50', half: 50.9, large: 1e20, below: -1, none: 0.5 }),
  ]);
  t.is(runtime.share('fraction', 0.25), 0.25);
  t.is(runtime.share('text', 1), 0.5);
  t.is(runtime.share('half', 1), 0.5);
  t.is(runtime.share('none', 1), 0);
  for (const key of ['large', 'below']) t.is(runtime.share(key, 0.25), 0.25, key);
  t.is(runtime.whole('half', 1), 50);
  t.is(runtime.whole('large', 1), 1);
});

test('a discovered layer needs a server, and a name', (t) => {
  const rtds = (json: Json): Json => ({ layered_runtime: { layers: [{ name: 'a', rtds_layer: json }] } });
  t.throws(() => bootstrapOf(rtds({ name: 'x', rtds_config: adsSource })), {
    message: 'layered_runtime.layers[0].rtds_layer.rtds_config: needs dynamic_resources.ads_config',
  });
  t.throws(() => bootstrapOf(rtds({ rtds_config: adsSource })), { message: /rtds_layer\.name: is required/ });
  t.throws(() => bootstrapOf(rtds({ name: 'x', rtds_config: { path_config_source: { path: '/x' } } })), {
    message: /rtds_config\.path_config_source: only ads is implemented/,
  });
});
