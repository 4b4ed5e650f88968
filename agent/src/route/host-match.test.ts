import { UserError } from '@chainmail/runtime';
import test from 'ava';
import { compileHostMatch } from './host-match.ts';
import { routeConfig, virtualHost } from './testing/routes.ts';

const config = routeConfig(
  ['www.example.com', '*.example.com', '*-x.example.com', '*.com', 'foo.*', 'foo.bar.*', 'ported.test:8080', '*'].map(
    (domain) => virtualHost(domain, [domain]),
  ),
);

const cases: readonly (readonly [authority: string, domain: string])[] = [
  ['www.example.com', 'www.example.com'],
  ['WWW.Example.COM', 'www.example.com'],
  ['www.example.com.', 'www.example.com'],
  ['x.y.example.com', '*.example.com'],
  ['a-x.example.com', '*-x.example.com'],
  ['example.com', '*.com'],
  ['.example.com', '*.com'],
  ['www.example.com:80', '*'],
  ['foo.org', 'foo.*'],
  ['foo.bar.org', 'foo.bar.*'],
  ['foo.', '*'],
  ['ported.test:8080', 'ported.test:8080'],
  ['ported.test', '*'],
  ['[::1]:80', '*'],
  ['', '*'],
];

for (const [authority, domain] of cases) {
  test(`'${authority}' belongs to ${domain}`, (t) => {
    const match = compileHostMatch(config);
    t.is(match(authority)?.name, domain);
  });
}

test('no virtual host without `*`', (t) => {
  t.is(compileHostMatch(routeConfig([virtualHost('a', ['a.test'])]))('b.test'), null);
});

test('the port can be ignored', (t) => {
  const match = compileHostMatch(routeConfig([virtualHost('a', ['a.test'])], { ignorePortInHost: true }));
  t.is(match('a.test:1234')?.name, 'a');
  t.is(match('a.test.:1234')?.name, 'a');
});

test('a domain that stands twice is refused', (t) => {
  const twice = routeConfig([virtualHost('a', ['A.test']), virtualHost('b', ['a.test'])]);
  const error = t.throws(() => compileHostMatch(twice), { instanceOf: UserError });
  t.regex(error.message, /'rc', virtual host 'b': the domain 'a.test'/);
});

test('what strangers ask for does not pile up', (t) => {
  const match = compileHostMatch(config);
  for (let i = 0; i < 100_000; i++) match(`h${i}.example.com`);
  t.is(match('www.example.com')?.name, 'www.example.com');
});
