import test from 'ava';
import { readingsOf } from './path-readings.ts';
import { pathRule } from './subject.ts';
import { connection, request } from './testing/request.ts';

test('an ordinary path has one reading', (t) => {
  for (const path of ['/', '/a/b', '/a%20b', '/a%3fb', '/..a/b.']) t.is(readingsOf(path), null);
});

test('escaped slashes and path parameters, as applications take them', (t) => {
  t.deepEqual(readingsOf('/x/..%2Fadmin'), {
    possible: ['/x/..%2Fadmin', '/admin', '/admin'],
    binding: ['/x/..%2Fadmin', '/admin'],
  });
  t.deepEqual(readingsOf('/%5cadmin/'), {
    possible: ['/%5cadmin/', '/admin/', '/admin/'],
    binding: ['/%5cadmin/', '/admin/'],
  });
  t.deepEqual(readingsOf('/public/..;a=1/admin;b'), {
    possible: ['/public/..;a=1/admin;b', '/public/..;a=1/admin;b', '/admin'],
    binding: ['/public/..;a=1/admin;b', '/admin'],
  });
  t.deepEqual(readingsOf('/map;x=1')?.binding, ['/map;x=1']);
});

test('a prohibition fires on any reading, a permission needs all that bind', (t) => {
  const holds = (side: 'grants' | 'denies', prefix: string, path: string): boolean =>
    pathRule(side, { kind: 'prefix', value: prefix, ignoreCase: false })(request({ path }), connection());
  t.true(holds('denies', '/admin', '/x/..%2fadmin'));
  t.true(holds('denies', '/x', '/x/..%2fadmin'));
  t.false(holds('grants', '/x', '/x/..%2fadmin'));
  t.false(holds('grants', '/admin', '/x/..%2fadmin'));
  t.true(holds('grants', '/scope', '/scope/a%2fb'));
  t.false(holds('grants', '/public', '/public/..;/admin'));
  t.true(holds('grants', '/map;x=1', '/map;x=1'));
});
