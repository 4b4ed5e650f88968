import test from 'ava';
import type { PathMatchSpec, RouteActionSpec } from '../model/http.ts';
import { type RequestOptions, request } from '../policy/testing/request.ts';
import { prepareRewrite, rewriteHost, rewritePath } from './rewrite.ts';
import { matched, path, route, toCluster } from './testing/routes.ts';
import { pickWeighted } from './weighted.ts';

function rewritten(
  action: Partial<RouteActionSpec>,
  from: string,
  match: PathMatchSpec = path('prefix', '/v1'),
): string {
  const spec = route('r', { path: match }, toCluster(action));
  prepareRewrite(spec);
  return rewritePath(matched(spec), request({ path: from }));
}

function host(action: Partial<RouteActionSpec>, of: RequestOptions = {}): string | null {
  return rewriteHost(matched(route('r', {}, toCluster(action))), request(of), 'pod-1.test');
}

test('prefix_rewrite exchanges the matched prefix and keeps the query', (t) => {
  t.is(rewritten({ prefixRewrite: '/v2' }, '/v1'), '/v2');
  t.is(rewritten({ prefixRewrite: '/v2' }, '/v10?a=/v1'), '/v20?a=/v1');
  t.is(rewritten({ prefixRewrite: '/' }, '/v1/a', path('prefix', '/v1/')), '/a');
  t.is(rewritten({ prefixRewrite: '/x' }, '/V1/a', path('prefix', '/v1', true)), '/x/a');
});

test('regex_rewrite works on the path without the query', (t) => {
  const regexRewrite = { pattern: '/([0-9]+)', substitution: '/id-\\1' };
  t.is(rewritten({ regexRewrite }, '/v1/12/34?n=/5'), '/v1/id-12/id-34?n=/5');
});

test('without a rewrite the path stays', (t) => {
  t.is(rewritten({}, '/v1?a'), '/v1?a');
});

test('host rewrites', (t) => {
  t.is(host({}), null);
  t.is(host({ hostRewrite: 'h.test' }), 'h.test');
  t.is(host({ autoHostRewrite: true }), 'pod-1.test');
  t.is(host({ hostRewriteHeader: 'x-host' }, { headers: [['x-host', 'x.test']] }), 'x.test');
  t.is(host({ hostRewriteHeader: 'x-host' }), null);
});

test('weighted clusters get exactly their share of the random range', (t) => {
  const clusters = [
    { name: 'a', weight: 1 },
    { name: 'b', weight: 0 },
    { name: 'c', weight: 3 },
  ];
  const picks = [0, 0.2499, 0.25, 0.5, 0.9999].map((r) => pickWeighted(clusters, () => r)?.name);
  t.deepEqual(picks, ['a', 'a', 'c', 'c', 'c']);
  t.is(pickWeighted([{ name: 'x', weight: 0 }], () => 0)?.name, 'x');
  t.is(
    pickWeighted([], () => 0),
    null,
  );
  t.is(
    pickWeighted(
      [
        { name: 'x', weight: 0 },
        { name: 'y', weight: 0 },
      ],
      () => 0,
    ),
    null,
  );
});
