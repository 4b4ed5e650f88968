import test from 'ava';
import type { HeaderMatchSpec, RouteConfigSpec, RouteMatchSpec } from '../model/http.ts';
import { type RequestOptions, request } from '../policy/testing/request.ts';
import { compileRouteTable } from './compile.ts';
import { noMutations, path, route, routeConfig, toCluster, virtualHost } from './testing/routes.ts';

function nameOf(config: RouteConfigSpec, of: RequestOptions, random?: () => number): string {
  const result = compileRouteTable(config, random).match(request(of));
  return result.kind === 'matched' ? result.route.spec.name : result.kind;
}

function fits(match: Partial<RouteMatchSpec>, of: RequestOptions): boolean {
  return nameOf(routeConfig([virtualHost('vh', ['*'], [route('r', match)])]), of) === 'r';
}

const paths: readonly (readonly [Parameters<typeof path>, readonly string[], readonly string[]])[] = [
  [
    ['prefix', '/service/1'],
    ['/service/1', '/service/10', '/service/1?x'],
    ['/service', '/Service/1'],
  ],
  [['prefix', '/Service', true], ['/sErvice/1'], ['/serv']],
  [
    ['path', '/exact'],
    ['/exact', '/exact?q'],
    ['/exact/', '/exactx', '/'],
  ],
  [
    ['path_separated_prefix', '/sep'],
    ['/sep', '/sep/a', '/sep?x'],
    ['/sepa', '/se'],
  ],
  [
    ['regex', '/a/[0-9]+'],
    ['/a/1', '/a/22?x'],
    ['/a/1/b', '/x/a/1', '/a/'],
  ],
];
for (const [spec, inside, outside] of paths) {
  test(`path ${spec.join(' ')}`, (t) => {
    for (const p of inside) t.true(fits({ path: path(...spec) }, { path: p }), p);
    for (const p of outside) t.false(fits({ path: path(...spec) }, { path: p }), p);
  });
}

test('the first route that matches wins', (t) => {
  const routes = [
    route('one', { path: path('prefix', '/a') }),
    route('two', { path: path('prefix', '/a/b') }),
    route('rest'),
  ];
  const config = routeConfig([virtualHost('vh', ['*'], routes)]);
  t.is(nameOf(config, { path: '/a/b' }), 'one');
  t.is(nameOf(config, { path: '/x' }), 'rest');
});

test('no virtual host and no route are the same answer', (t) => {
  const config = routeConfig([virtualHost('vh', ['a.test'], [route('r', { path: path('prefix', '/a') })])]);
  t.is(nameOf(config, { authority: 'b.test', path: '/a' }), 'none');
  t.is(nameOf(config, { path: '/b' }), 'none');
  t.is(nameOf(config, { path: '*', method: 'OPTIONS' }), 'none');
});

const header = (value: string, invert = false): HeaderMatchSpec => ({
  name: 'x-a',
  match: { kind: 'string', value: { kind: 'exact', value, ignoreCase: false } },
  invert,
  treatMissingAsEmpty: false,
});

test('headers: all matchers; any of repeated values; inversion of that', (t) => {
  const two: RequestOptions = {
    headers: [
      ['x-a', 'Zero'],
      ['x-a', 'One'],
    ],
  };
  t.true(fits({ headers: [header('One')] }, two));
  t.true(fits({ headers: [header('One'), header('Zero')] }, two));
  t.false(fits({ headers: [header('One'), header('Two')] }, two));
  t.false(fits({ headers: [header('One', true)] }, two));
  t.true(fits({ headers: [header('Two', true)] }, two));
  t.false(fits({ headers: [header('Two', true)] }, {}));
});

test('query: first occurrence, no decoding, case of names, presence', (t) => {
  const value = (v: string): RouteMatchSpec['query'] => [
    { name: 'a', value: { kind: 'exact', value: v, ignoreCase: false }, present: true },
  ];
  t.true(fits({ query: value('1') }, { path: '/?a=1&a=2' }));
  t.false(fits({ query: value('1') }, { path: '/?a=2&a=1' }));
  t.false(fits({ query: value('1') }, { path: '/?a=%31' }));
  t.false(fits({ query: value('1') }, { path: '/?A=1' }));
  t.false(fits({ query: value('1') }, { path: '/?ba=1' }));
  t.true(fits({ query: value('1=2') }, { path: '/?x&a=1=2' }));
  t.true(fits({ query: value('') }, { path: '/?a' }));
  const present = (wanted: boolean): RouteMatchSpec['query'] => [{ name: 'p', value: null, present: wanted }];
  t.true(fits({ query: present(true) }, { path: '/?p' }));
  t.true(fits({ query: present(true) }, { path: '/?x=1&p=' }));
  t.false(fits({ query: present(true) }, { path: '/p' }));
  t.true(fits({ query: present(false) }, { path: '/?q' }));
});

test('grpc', (t) => {
  const of = (type: string): RequestOptions => ({ headers: [['content-type', type]] });
  t.true(fits({ grpc: true }, of('application/grpc')));
  t.true(fits({ grpc: true }, of('application/grpc+x')));
  t.false(fits({ grpc: true }, of('application/grpcx')));
});

test('a fraction lets its share of requests in and the rest on to the next route', (t) => {
  const routes = [route('canary', { fraction: 0.25 }), route('stable')];
  const config = routeConfig([virtualHost('vh', ['*'], routes)]);
  t.is(
    nameOf(config, {}, () => 0.24),
    'canary',
  );
  t.is(
    nameOf(config, {}, () => 0.25),
    'stable',
  );
  t.is(
    nameOf(routeConfig([virtualHost('vh', ['*'], [route('r', { fraction: 0 }), route('s')])]), {}, () => 0),
    's',
  );
});

test('TLS can be required, of strangers or of all', (t) => {
  const config = (requireTls: 'all' | 'external'): RouteConfigSpec =>
    routeConfig([virtualHost('vh', ['*'], [route('r')], { requireTls })]);
  t.is(nameOf(config('all'), {}), 'tls-required');
  t.is(nameOf(config('all'), { scheme: 'https' }), 'r');
  t.is(nameOf(config('all'), { headers: [['x-forwarded-proto', 'https']] }), 'r');
  t.is(nameOf(config('external'), {}), 'tls-required');
  t.is(nameOf(config('external'), { headers: [['x-envoy-internal', 'true']] }), 'r');
});

test('a match carries its levels of header mutations, empty ones left out', (t) => {
  const some = { ...noMutations, requestRemove: ['x'] };
  const spec = { ...route('r', {}, toCluster()), headers: some };
  const config = routeConfig([virtualHost('vh', ['*'], [spec])], {
    headers: { ...noMutations, responseRemove: ['y'] },
  });
  const result = compileRouteTable(config).match(request());
  t.deepEqual(result.kind === 'matched' ? result.route.mutations : null, [some, config.headers]);
});

test('bad expressions are refused when the table is compiled', (t) => {
  const table = (match: Partial<RouteMatchSpec>, action = toCluster()): void => {
    compileRouteTable(routeConfig([virtualHost('vh', ['*'], [route('r', match, action)])]));
  };
  t.throws(() => table({ path: path('regex', '[') }), { code: 'REGEX_INVALID' });
  t.throws(() => table({}, toCluster({ regexRewrite: { pattern: '(', substitution: '' } })), { code: 'REGEX_INVALID' });
});

test('the first virtual cluster whose matchers all fit, else the last one', (t) => {
  const header = (name: string, value: string): HeaderMatchSpec => ({
    name,
    match: { kind: 'string', value: { kind: 'exact', value, ignoreCase: false } },
    invert: false,
    treatMissingAsEmpty: false,
  });
  const gets = [header(':method', 'GET'), header('x-a', '1')];
  const virtualClusters = [
    { name: 'gets', headers: gets, stats: 1 },
    { name: 'ones', headers: [header('x-a', '1')], stats: 2 },
    { name: 'other', headers: [], stats: 3 },
  ];
  const config = routeConfig([virtualHost('vh', ['*'], [route('r')], { virtualClusters })]);
  const counted = (of: RequestOptions): string | undefined => {
    const view = request(of);
    const result = compileRouteTable(config).match(view);
    return result.kind === 'matched' ? result.route.virtualCluster?.(view).name : result.kind;
  };
  t.is(counted({ method: 'GET', headers: [['x-a', '1']] }), 'gets');
  t.is(counted({ method: 'POST', headers: [['x-a', '1']] }), 'ones');
  t.is(counted({ method: 'GET' }), 'other');
});
