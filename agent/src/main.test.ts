import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { freePort } from '@chainmail/runtime/testing';
import test, { type ExecutionContext } from 'ava';
import { AgentProcess, request } from './bootstrap/testing/agent-process.ts';

const types = 'type.googleapis.com/envoy.extensions.filters';

function bootstrap(listenPort: number, backendPort: number): string {
  return `
admin:
  address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
layered_runtime:
  layers:
  - { name: base, static_layer: { closed: 0 } }
  - { name: admin, admin_layer: {} }
node: { id: from-file }
static_resources:
  listeners:
  - name: main
    address: { socket_address: { address: 127.0.0.1, port_value: ${listenPort} } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": ${types}.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress
          access_log:
          - name: envoy.access_loggers.stdout
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
              log_format: { json_format: { path: "%REQ(:PATH)%", code: "%RESPONSE_CODE%" } }
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": ${types}.http.router.v3.Router }
          route_config:
            name: local
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: { prefix: "/", runtime_fraction: { runtime_key: closed, default_value: { numerator: 0 } } }
                direct_response: { status: 410 }
              - match: { prefix: "/" }
                route: { cluster: backend }
  clusters:
  - name: backend
    connect_timeout: 1s
    load_assignment:
      cluster_name: backend
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${backendPort} } } }
`;
}

async function backend(t: ExecutionContext): Promise<number> {
  const server = http.createServer((incoming, outgoing) => outgoing.end(`you asked for ${incoming.url}`));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function started(t: ExecutionContext, args: readonly string[] = []) {
  const port = await freePort();
  const agent = new AgentProcess(bootstrap(port, await backend(t)), args);
  t.teardown(() => agent.stop('SIGKILL'));
  return { agent, port, admin: await agent.started() };
}

test('real traffic is proxied, logged, and counted under the names of Envoy', async (t) => {
  const { agent, port, admin } = await started(t);
  const answer = await request(port, '/hello?x=1');
  t.is(answer.status, 200);
  t.is(answer.body, 'you asked for /hello?x=1');
  t.is(answer.headers.server, 'envoy');
  const { body } = await request(admin, '/stats');
  for (const line of [
    'cluster.backend.upstream_rq_200: 1',
    'cluster.backend.upstream_cx_total: 1',
    'http.ingress.downstream_rq_2xx: 1',
    `listener.127.0.0.1_${port}.downstream_cx_total: 1`,
    'server.live: 1',
    'server.concurrency: 1',
    'listener_manager.total_listeners_active: 1',
  ]) {
    t.true(body.includes(`${line}\n`), line);
  }
  t.is(await agent.stop(), 0);
  t.deepEqual(JSON.parse(agent.stdout), { code: 200, path: '/hello?x=1' });
});

test('the runtime changes at once, and counters can begin anew', async (t) => {
  const { agent, port, admin } = await started(t);
  const post = (path: string) => request(admin, path, 'POST');
  t.is((await request(port, '/')).status, 200);
  t.is((await post('/runtime_modify?closed=100')).body, 'OK\n');
  t.is((await request(port, '/')).status, 410);
  t.deepEqual(JSON.parse((await request(admin, '/runtime')).body), {
    layers: ['base', 'admin'],
    entries: { closed: { layer_values: ['0', '100'], final_value: '100' } },
  });
  t.is((await post('/runtime_modify?closed=')).body, 'OK\n');
  t.is((await request(port, '/')).status, 200);
  const nothing = await post('/runtime_modify');
  t.is(nothing.status, 400);
  t.true(nothing.body.startsWith('usage: /runtime_modify?key1=value1'));
  t.is((await request(admin, '/runtime_modify?a=b')).status, 405);
  const total = async () => (await request(admin, '/stats?filter=ingress.downstream_rq_total$')).body.trim();
  t.is(await total(), 'http.ingress.downstream_rq_total: 3');
  t.is((await post('/reset_counters')).body, 'OK\n');
  t.is(await total(), 'http.ingress.downstream_rq_total: 0');
  t.is((await post('/reopen_logs')).body, 'OK\n');
  t.is(await agent.stop(), 0);
});

test('the admin interface answers in the shape of Envoy', async (t) => {
  const { agent, port, admin } = await started(t);
  await request(port, '/');
  const get = (path: string, method = 'GET') => request(admin, path, method);
  const ready = await get('/ready');
  t.is(`${ready.status} ${ready.body}`, '200 LIVE\n');
  t.like(ready.headers, {
    'content-type': 'text/plain; charset=UTF-8',
    'cache-control': 'no-cache, max-age=0',
    'x-content-type-options': 'nosniff',
    server: 'envoy',
  });
  t.is((await get('/listeners')).body, `main::127.0.0.1:${port}\n`);
  t.regex((await get('/clusters')).body, /^backend::127\.0\.0\.1:\d+::rq_total::1$/m);
  t.regex(
    (await get('/stats/prometheus')).body,
    /^envoy_cluster_upstream_rq\{envoy_response_code="200",envoy_cluster_name="backend"\} 1$/m,
  );
  t.is(JSON.parse((await get('/clusters?format=json')).body).cluster_statuses[0].name, 'backend');
  t.is(JSON.parse((await get('/server_info')).body).state, 'LIVE');
  const { configs } = JSON.parse((await get('/config_dump')).body);
  t.deepEqual(
    configs.map((c: { '@type': string }) => c['@type'].split('.').at(-1)),
    ['BootstrapConfigDump', 'ClustersConfigDump', 'ListenersConfigDump', 'RoutesConfigDump', 'SecretsConfigDump'],
  );
  t.is(configs[0].bootstrap.node.id, 'from-file');
  t.is(configs[1].static_clusters[0].cluster.name, 'backend');
  const some = JSON.parse((await get('/config_dump?resource=static_listeners')).body);
  t.is(some.configs[0].listener.name, 'main');
  t.is((await get('/config_dump?resource=bogus')).body, 'bogus not found in config dump');
  t.is((await get('/nowhere')).status, 404);
  t.regex((await get('/nowhere')).body, /^invalid path\. admin commands are:\n/);
  const refused = await get('/quitquitquit');
  t.is(`${refused.status} ${refused.body}`, '405 Method GET not allowed, POST required.');
  t.is((await get('/logging?level=debug', 'POST')).body, 'active loggers:\n  agent: debug\n');
  t.is((await get('/logging?level=loud', 'POST')).status, 400);
  t.is((await get('/healthcheck/fail', 'POST')).body, 'OK\n');
  t.is((await get('/ready')).body, 'DRAINING\n');
  await get('/healthcheck/ok', 'POST');
  await get('/drain_listeners', 'POST');
  t.is((await get('/ready')).body, 'LIVE\n');
  await t.throwsAsync(async () => {
    for (let i = 0; i < 50; i++) await request(port, '/');
  });
  t.is((await get('/quitquitquit', 'POST')).body, 'OK\n');
  t.is(await agent.exited, 0);
});

test('a configuration in YAML is merged over the file; flags go before the node in it', async (t) => {
  const { admin } = await started(t, [
    '--config-yaml',
    'node: {cluster: from-yaml}\nstatic_resources: {clusters: [{name: second, load_assignment: {cluster_name: second}}]}',
    '--service-node',
    'from-flag',
    '--service-zone',
    'z1',
    '--base-id',
    '7',
  ]);
  const { configs } = JSON.parse((await request(admin, '/config_dump')).body);
  t.like(configs[0].bootstrap.node, { id: 'from-flag', cluster: 'from-yaml', locality: { zone: 'z1' } });
  t.is(configs[1].static_clusters.length, 2);
});

test('SIGUSR1 opens the log anew; a moved file gets no more lines', async (t) => {
  const agent = new AgentProcess(bootstrap(await freePort(), await backend(t)), ['--log-path', 'DIR/log']);
  t.teardown(() => agent.stop('SIGKILL'));
  const read = (name: string): string => fs.readFileSync(path.join(agent.dir, name), 'utf8');
  await agent.holds('log', '"started"');
  fs.renameSync(path.join(agent.dir, 'log'), path.join(agent.dir, 'old'));
  agent.child.kill('SIGUSR1');
  await agent.holds('log', '');
  agent.child.kill('SIGTERM');
  t.is(await agent.exited, 0);
  t.regex(read('log'), /"stopping"/);
  t.notRegex(read('old'), /"stopping"/);
});

async function outcome(agent: AgentProcess) {
  const code = await agent.exited;
  fs.rmSync(agent.dir, { recursive: true });
  return { code, stdout: agent.stdout, stderr: agent.stderr, file: agent.file };
}

test('validate: OK and 0, or the reason and 1', async (t) => {
  const good = await outcome(new AgentProcess(bootstrap(1, 2), ['--mode', 'validate']));
  t.deepEqual([good.code, good.stdout], [0, `configuration '${good.file}' OK\n`]);
  const bad = await outcome(
    new AgentProcess('static_resources: {clusters: [{name: a, foo: 1}]}', ['--mode', 'validate']),
  );
  t.is(bad.code, 1);
  t.true(bad.stderr.startsWith('static_resources.clusters[0].foo: unknown field in envoy.config.cluster.v3.Cluster'));
});

test('it does not start with an unknown field, a key twice, a taken port or a file that is not there', async (t) => {
  const wrong = async (config: string | null, args: string[], reason: RegExp): Promise<void> => {
    const { code, stderr } = await outcome(new AgentProcess(config, args));
    t.is(code, 1, stderr);
    t.regex(stderr, reason);
  };
  await wrong('admin: {foo: 1}', [], /^admin\.foo: unknown field in envoy\.config\.bootstrap\.v3\.Admin/);
  await wrong('node: {id: a, id: b}', [], /envoy\.yaml:1:\d+: .*unique/);
  await wrong(
    'static_resources: {clusters: [{name: ""}]}',
    [],
    /^static_resources\.clusters\[0\]\.name: must be at least 1/,
  );
  const taken = await backend(t);
  await wrong(bootstrap(taken, 1), [], new RegExp(String(taken)));
  await wrong(null, ['-c', '/nonexistent.yaml'], /^unable to read file: \/nonexistent\.yaml/);
});

test('a command line that is not understood is 2; help and version are 0', async (t) => {
  const run = (...args: string[]) => outcome(new AgentProcess(null, args));
  t.like(await run('--frobnicate'), { code: 2 });
  t.like(await run(), { code: 2 });
  t.like(await run('--mode', 'init_only', '--config-yaml', '{}'), { code: 2 });
  t.regex((await run('--help')).stdout, /--config-path FILE/);
  t.regex((await run('version')).stdout, /^chainmail-agent \d+\.\d+\.\d+ \(Envoy API/);
});
