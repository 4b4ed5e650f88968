/**
 * Ways round a rule about path, host or header: what a policy looks at must be what the application gets. Invariant of
 * each probe: either it is refused, or the application's own reading of it is not what the rule forbids.
 */
import test from 'ava';
import { startNaiveProxy } from '../fakes/naive-proxy.ts';
import { Agent, type AgentSetup } from './agent.ts';
import { type App, startApp } from './app.ts';
import { send } from './wire.ts';

const deny = (...permissions: readonly object[]): NonNullable<AgentSetup['rbac']> => ({
  action: 'DENY',
  policies: { p: { permissions, principals: [{ any: true }] } },
});
const allow = (...permissions: readonly object[]): NonNullable<AgentSetup['rbac']> => ({
  action: 'ALLOW',
  policies: { p: { permissions, principals: [{ any: true }] } },
});
const path = (prefix: string): object => ({ url_path: { path: { prefix } } });
const header = (name: string, exact: string): object => ({ header: { name, string_match: { exact } } });

/** How an easy-going application reads a target: everything decoded, twice, slashes merged, dots resolved, no case. */
function readByApp(url: string): string {
  let text = url.split(/[?#]/)[0] ?? '';
  for (let i = 0; i < 2; i++)
    text = text.replace(/%([0-9a-f]{2})/gi, (_, h: string) => String.fromCharCode(Number.parseInt(h, 16)));
  const kept: string[] = [];
  for (const segment of text.replaceAll('\\', '/').split('/')) {
    const bare = segment.split(';')[0] ?? '';
    if (bare === '..') kept.pop();
    else if (bare !== '' && bare !== '.') kept.push(bare);
  }
  return `/${kept.join('/')}`;
}

/** CVE-2021-31920, -29492, -39156, -32779; CVE-2020-8595; CVE-2019-9901. Each names /admin to some server. */
const paths: readonly string[] = [
  '/admin',
  '/admin/',
  '/admin?x',
  '/admin?/../public',
  '/admin#x',
  '/admin%23x',
  '/admin%3Fx',
  '//admin',
  '///admin//',
  '/./admin',
  '/.//./admin',
  '/public/../admin',
  '/public/..//admin',
  '/public/../../admin',
  '/public/%2e%2e/admin',
  '/public/.%2e/admin',
  '/%61dmin',
  '/%61%64%6d%69%6e',
  '/admin%2f',
  '/admin%2fx',
  '/%2fadmin',
  '/%2Fadmin',
  '/%2f%2fadmin',
  '/%5cadmin',
  '/\\admin',
  '\\admin',
  '/public/..\\admin',
  '/public\\..\\admin',
  '/public/..%2fadmin',
  '/public/..%2Fadmin',
  '/public%2f..%2fadmin',
  '/public/..%5cadmin',
  '/x/%5C../admin',
  '/public/%2e%2e%2fadmin',
  '/public/%2e%2e%5cadmin',
  '/admin/.',
  '/admin/./',
  '/x/..%2f%2fadmin',
  '/admin;jsessionid=1',
  '/public/..;/admin',
  '/public%2f..;x=1/admin',
  '/;x/admin',
  '/admin%00',
  '/admin%00/x',
];

/** Servers that decode twice or fold case: no proxy can know. A list of what is allowed holds, one of what is not does not. */
const beyond: readonly string[] = ['/ADMIN', '/;/admin', '/%2561dmin', '/%252fadmin'];

async function reachedAdmin(app: App, port: number, target: string): Promise<boolean> {
  app.reset();
  await send(port, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`, { timeoutMs: 3000 });
  return app.requests.some((r) => /^\/admin/.test(readByApp(r.url)));
}

for (const action of ['KEEP_UNCHANGED', 'UNESCAPE_AND_FORWARD', 'UNESCAPE_AND_REDIRECT', 'REJECT_REQUEST'] as const) {
  test(`a path under DENY /admin does not get there in another spelling: ${action}`, async (t) => {
    const app = await startApp();
    t.teardown(() => app.close());
    const manager = { path_with_escaped_slashes_action: action };
    const denies = await Agent.start({ appPort: app.port, rbac: deny(path('/admin')), manager });
    const allows = await Agent.start({ appPort: app.port, rbac: allow(path('/public'), path('/x')), manager });
    t.teardown(() => Promise.all([denies.stop(), allows.stop()]));
    for (const target of paths) {
      t.false(await reachedAdmin(app, denies.port, target), `DENY: ${target} came as ${app.requests[0]?.url}`);
      t.false(await reachedAdmin(app, allows.port, target), `ALLOW: ${target} came as ${app.requests[0]?.url}`);
    }
    for (const target of beyond) {
      t.false(await reachedAdmin(app, allows.port, target), `ALLOW: ${target} came as ${app.requests[0]?.url}`);
    }
  });
}

test('the spellings get past a proxy that compares text', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const naive = await startNaiveProxy({ upstream: app.port, denyPath: '/admin' });
  t.teardown(() => naive.close());
  let past = 0;
  for (const target of paths) if (await reachedAdmin(app, naive.port, target)) past++;
  t.true(past >= 20, `${past} of ${paths.length}`);
});

/** CVE-2021-39155 and its kin: one host in several spellings. */
const hosts: readonly string[] = [
  'secret.com',
  'Secret.COM',
  'secret.com:80',
  'secret.com.',
  'SECRET.com.:8080',
  'secret.com:',
];
const odd: readonly string[] = [
  'secret.com..',
  'x@secret.com',
  'secret.com,a',
  'secret.com%2e',
  'secret.com:80:80',
  '[secret.com]',
];

const reachedSecret = async (app: App, port: number, host: string): Promise<boolean> => {
  app.reset();
  await send(port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`, { timeoutMs: 3000 });
  return app.requests.length > 0;
};

test('a host under DENY is denied in every spelling, an absolute form is the same host', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({ appPort: app.port, rbac: deny(header(':authority', 'secret.com')) });
  const only = await Agent.start({ appPort: app.port, rbac: allow(header(':authority', 'public.com')) });
  t.teardown(() => Promise.all([agent.stop(), only.stop()]));
  for (const host of hosts) t.false(await reachedSecret(app, agent.port, host), host);
  for (const host of [...hosts, ...odd]) t.false(await reachedSecret(app, only.port, host), host);
  app.reset();
  await send(agent.port, 'GET http://secret.com/ HTTP/1.1\r\nHost: secret.com\r\n\r\n');
  await send(agent.port, 'GET HTTP://SECRET.com/ HTTP/1.1\r\nHost: secret.COM\r\n\r\n');
  await send(agent.port, 'GET http://secret.com/ HTTP/1.1\r\nHost: public.com\r\n\r\n');
  t.deepEqual(app.requests, []);
  t.true(await reachedSecret(app, agent.port, 'public.com'), 'others pass');
});

test('the hosts get past a proxy that compares text', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const naive = await startNaiveProxy({ upstream: app.port, denyHost: 'secret.com' });
  t.teardown(() => naive.close());
  t.false(await reachedSecret(app, naive.port, 'secret.com'));
  for (const host of hosts.slice(1)) t.true(await reachedSecret(app, naive.port, host), host);
});

/** CVE-2021-32777, CVE-2026-26308: several values of one header. The last two are one header to CGI and WSGI. */
const roles: readonly { readonly name: string; readonly lines: string }[] = [
  { name: 'first', lines: 'x-role: admin\r\nx-role: user' },
  { name: 'second', lines: 'x-role: user\r\nx-role: admin' },
  { name: 'third, other case', lines: 'X-Role: a\r\nx-ROLE: b\r\nX-ROLE: admin' },
  { name: 'white space around', lines: 'x-role: \t admin \t' },
];

test('a DENY on a header fires on any of its values', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({
    appPort: app.port,
    rbac: deny(header('x-role', 'admin')),
    manager: { common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' } },
  });
  t.teardown(() => agent.stop());
  for (const { name, lines } of [...roles, { name: 'underscore', lines: 'x_role: admin' }]) {
    app.reset();
    const { statuses } = await send(agent.port, `GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n\r\n`);
    t.true(statuses[0] === 403 || statuses[0] === 400, `${name}: ${statuses[0]}`);
    t.deepEqual(app.requests, [], name);
  }
  const naive = await startNaiveProxy({ upstream: app.port, denyRole: 'admin' });
  t.teardown(() => naive.close());
  for (const { name, lines } of roles.slice(1, 3)) {
    app.reset();
    await send(naive.port, `GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n\r\n`);
    t.is(app.requests.length, 1, `naive: ${name}`);
  }
});
