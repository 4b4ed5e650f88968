/** Programs that nobody here wrote, meshed as they are: podinfo, redis, PostgreSQL. */
import test from 'ava';
import { testImages } from './bed/images.ts';
import { answered, call } from './calls.ts';
import { connect, Undo } from './cluster.ts';
import { installed, meshed } from './mesh.ts';
import { deployment, idle, meshPolicy, pod, service } from './workloads.ts';

const cluster = connect();
const undo = new Undo();
let home = '';

const podinfo = {
  name: 'app',
  image: testImages.podinfo,
  command: ['/usr/bin/podinfo', '--port=9898', '--grpc-port=9999', '--level=info'],
  ports: [
    { name: 'http', containerPort: 9898 },
    { name: 'grpc', containerPort: 9999 },
  ],
  readinessProbe: { httpGet: { path: '/readyz', port: 'http' }, periodSeconds: 1 },
  livenessProbe: { grpc: { port: 9999 }, periodSeconds: 2 },
};

const redis = {
  name: 'app',
  image: testImages.redis,
  command: ['redis-server', '--save', '', '--protected-mode', 'no', '--dir', '/tmp'],
  ports: [{ name: 'redis', containerPort: 6379 }],
  readinessProbe: { tcpSocket: { port: 'redis' }, periodSeconds: 1 },
  livenessProbe: { exec: { command: ['redis-cli', 'ping'] }, periodSeconds: 5 },
};

const startPostgres = `
/postgres/bin/initdb -D /tmp/data -U postgres -A trust --locale=C --no-sync >/dev/null
echo "host all all all trust" >> /tmp/data/pg_hba.conf
exec /postgres/bin/postgres -D /tmp/data -k /tmp -h '*' -c fsync=off`;

const postgres = {
  name: 'app',
  image: testImages.postgres,
  command: ['sh', '-ec', startPostgres],
  ports: [{ name: 'postgres', containerPort: 5432 }],
  readinessProbe: { exec: { command: ['/postgres/bin/pg_isready', '-h', '127.0.0.1'] }, periodSeconds: 1 },
};

const ports = (...list: readonly (readonly [string, number])[]) => ({
  ports: list.map(([name, port]) => ({ name, port })),
});

test.before(async () => {
  await installed(cluster);
  home = await cluster.namespace(undo, meshed);
  const tool = (image: string) => ({ container: { name: 'app', image, command: ['sleep', '1000000'] } });
  await cluster.api.apply(
    [
      meshPolicy('STRICT'),
      deployment('podinfo', { container: podinfo }, 2),
      service('podinfo', ports(['http', 9898], ['grpc', 9999])),
      deployment('redis', { container: redis }),
      service('redis', ports(['redis', 6379])),
      deployment('postgres', { container: postgres }),
      service('postgres', ports(['postgres', 5432])),
      pod('client', { container: idle }),
      pod('psql', tool(testImages.postgres)),
    ],
    home,
  );
  await Promise.all(['podinfo', 'redis', 'postgres'].map((name) => cluster.available(home, name)));
  await Promise.all(['client', 'psql'].map((name) => cluster.ready(home, name)));
  await answered(cluster, { namespace: home, pod: 'client' }, 'http://podinfo:9898/api/info');
});
test.after.always(() => undo.run());

test('podinfo answers over HTTP, keeps its own status codes, and calls itself through the mesh', async (t) => {
  const client = { namespace: home, pod: 'client' };
  const { status, text } = await call(cluster, client, 'http://podinfo:9898/api/info');
  t.is(status, 200);
  t.regex(text, /"hostname": ?"podinfo-/);
  t.is((await call(cluster, client, 'http://podinfo:9898/status/418')).status, 418);
  t.is((await call(cluster, client, 'http://podinfo:9898/env')).status, 200);
});

test('podinfo streams and chunks', async (t) => {
  const client = { namespace: home, pod: 'client' };
  const { status, text } = await call(cluster, client, 'http://podinfo:9898/chunked/1');
  t.is(status, 200, text);
});

test('redis: values come back, pipelines and large values too', async (t) => {
  const [server] = await cluster.pods(home, { app: 'redis' });
  const from = server?.metadata.name ?? '';
  const cli = (...args: readonly string[]) => cluster.exec(home, from, 'app', ['redis-cli', '-h', 'redis', ...args]);
  t.is((await cli('set', 'a', 'b')).stdout.trim(), 'OK');
  t.is((await cli('get', 'a')).stdout.trim(), 'b');
  const bench = [
    'redis-benchmark',
    '-h',
    'redis',
    '-n',
    '2000',
    '-c',
    '10',
    '-P',
    '8',
    '-d',
    '20000',
    '-t',
    'set,get',
    '--csv',
  ];
  const { code, stdout, stderr } = await cluster.exec(home, from, 'app', bench);
  t.is(code, 0, stderr);
  t.regex(stdout, /"GET"/);
});

test('PostgreSQL: a session, a transaction, a large result and a copy', async (t) => {
  const psql = async (sql: string) => {
    const command = [
      '/postgres/bin/psql',
      '-h',
      'postgres',
      '-U',
      'postgres',
      '-At',
      '-v',
      'ON_ERROR_STOP=1',
      '-c',
      sql,
    ];
    const { code, stdout, stderr } = await cluster.exec(home, 'psql', 'app', command);
    t.is(code, 0, stderr);
    return stdout.trim();
  };
  await psql('create table goods (id int primary key, name text)');
  await psql("insert into goods select i, repeat('x', 100) from generate_series(1, 20000) i");
  t.is(await psql('select count(*) from goods'), '20000');
  t.is((await psql('select * from goods')).split('\n').length, 20_000);
  t.regex(await psql('begin; delete from goods; rollback; select count(*) from goods'), /20000$/);
});

test('pgbench: many sessions at once, none fails', async (t) => {
  const pgbench = ['/postgres/bin/pgbench', '-h', 'postgres', '-U', 'postgres'];
  const made = await cluster.exec(home, 'psql', 'app', [...pgbench, '-i', '-q', '-s', '1', 'postgres']);
  t.is(made.code, 0, made.stderr);
  const ran = await cluster.exec(home, 'psql', 'app', [...pgbench, '-c', '4', '-t', '50', '-n', 'postgres']);
  t.is(ran.code, 0, ran.stderr);
  t.regex(ran.stdout, /transactions actually processed: 200\/200/);
});
