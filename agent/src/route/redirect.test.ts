import test from 'ava';
import type { PathMatchSpec, RedirectSpec } from '../model/http.ts';
import { type RequestOptions, request } from '../policy/testing/request.ts';
import { httpsLocation, redirectLocation } from './redirect.ts';
import { matched, path, redirect, route } from './testing/routes.ts';

function location(
  spec: Partial<RedirectSpec>,
  of: RequestOptions = {},
  match: PathMatchSpec = path('prefix', '/'),
): string {
  return redirectLocation(
    matched(route('r', { path: match }, redirect(spec))),
    request({ authority: 'example.com', ...of }),
  );
}

const at = (authority: string): RequestOptions => ({ authority, path: '/p?q=1' });

test('https_redirect drops :80 and keeps every other port', (t) => {
  t.is(location({ httpsRedirect: true }, at('example.com')), 'https://example.com/p?q=1');
  t.is(location({ httpsRedirect: true }, at('example.com:80')), 'https://example.com/p?q=1');
  t.is(location({ httpsRedirect: true }, at('example.com:8080')), 'https://example.com:8080/p?q=1');
  t.is(location({ httpsRedirect: true }, at('example.com:443')), 'https://example.com:443/p?q=1');
});

test('a new host drops the old port, a new port replaces it', (t) => {
  t.is(location({ host: 'new.test' }, at('example.com:8080')), 'http://new.test/p?q=1');
  t.is(location({ host: 'new.test', port: 9 }, at('example.com:8080')), 'http://new.test:9/p?q=1');
  t.is(location({ port: 9 }, at('example.com:8080')), 'http://example.com:9/p?q=1');
  t.is(location({ port: 9 }, at('[::1]:8080')), 'http://[::1]:9/p?q=1');
});

test('the scheme follows x-forwarded-proto unless it is set', (t) => {
  t.is(location({ host: 'n.test' }, { headers: [['x-forwarded-proto', 'https']] }), 'https://n.test/');
  t.is(location({ scheme: 'https' }, at('example.com:80')), 'https://example.com/p?q=1');
  t.is(location({ scheme: 'http' }, { ...at('example.com:443'), scheme: 'https' }), 'http://example.com/p?q=1');
});

test('path_redirect keeps the query unless it has its own', (t) => {
  t.is(location({ path: '/new' }, at('example.com')), 'http://example.com/new?q=1');
  t.is(location({ path: '/new?x' }, at('example.com')), 'http://example.com/new?x');
  t.is(location({ path: '/new', stripQuery: true }, at('example.com')), 'http://example.com/new');
});

test('prefix_rewrite replaces what matched', (t) => {
  t.is(location({ prefixRewrite: '/v2' }, { path: '/v1/a?q' }, path('prefix', '/v1')), 'http://example.com/v2/a?q');
  t.is(
    location({ prefixRewrite: '/v2', stripQuery: true }, { path: '/v1/a?q' }, path('prefix', '/v1')),
    'http://example.com/v2/a',
  );
  t.is(location({ prefixRewrite: '/b' }, { path: '/exact' }, path('path', '/exact')), 'http://example.com/b');
});

test('where a virtual host requires TLS', (t) => {
  t.is(httpsLocation(request(at('example.com:80'))), 'https://example.com/p?q=1');
  t.is(httpsLocation(request(at('example.com'))), 'https://example.com/p?q=1');
});
