/**
 * The local runner from end to end, with plain pods: names, Service addresses, probes, restarts, updates, isolation,
 * and that nothing is left behind, also after a crash.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import {
  type DevStatus,
  type ExecResult,
  type LocalMesh,
  startLocalMesh,
  stopLocalMesh,
  waitUntilReady,
} from '@chainmail/local';
import test from 'ava';
import { base, crashing, stopping, tool, web } from './local/plain-pods.ts';

const repository = path.resolve(import.meta.dirname, '../..');
const name = `e2e-local-${process.pid}`;
const marker = `9${process.pid}`;
const readyMs = 30_000;

let dir: string;
let mesh: LocalMesh;

const write = (file: string, text: string): void => {
  fs.writeFileSync(path.join(dir, `.${file}`), text);
  fs.renameSync(path.join(dir, `.${file}`), path.join(dir, file));
};

const inTool = (command: string): Promise<ExecResult> =>
  mesh.client.exec({ namespace: 'default', pod: 'tool', command: ['sh', '-c', command] });

const webPods = (s: DevStatus): DevStatus['pods'] => s.pods.filter((p) => p.labels['app'] === 'web');

function processesWith(text: string): string[] {
  return fs.readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
    } catch {
      return false; // it has ended while we looked
    }
  });
}

async function eventually<T>(what: string, check: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const end = Date.now() + 15_000;
  for (;;) {
    const value = await check();
    if (value !== undefined) return value;
    if (Date.now() > end) throw new Error(`${what}: not in time`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

test.before(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'e2e-local-'));
  write('base.yaml', base);
  write('web.yaml', web(2, 'v1'));
  write('tool.yaml', tool(marker, 'blue'));
  mesh = await startLocalMesh({ dirs: [dir], name, withMesh: false });
  await waitUntilReady(mesh.client, readyMs);
});

test.after.always(async () => {
  await stopLocalMesh(name);
  fs.rmSync(dir, { recursive: true, force: true });
});

test.serial('names resolve as in a cluster, and no others', async (t) => {
  const status = await mesh.client.status();
  const vips = status.services.find((s) => s.name === 'web')?.clusterIPs ?? [];
  t.is(vips.length, 2);
  const shop = webPods(status)[0];
  for (const query of ['web', 'web.shop', 'web.shop.svc', 'web.shop.svc.cluster.local']) {
    const command = [
      'node',
      '-e',
      `require('dns').lookup('${query}', { all: true }, (e, a) => console.log(JSON.stringify(a)))`,
    ];
    const { stdout } = await mesh.client.exec({ namespace: 'shop', pod: shop?.name ?? '', command });
    const found = (JSON.parse(stdout) as { address: string }[]).map((a) => a.address);
    t.deepEqual(found.sort(), [...vips].sort(), query);
  }
  const pods = await inTool("getent ahostsv4 web-pods.shop | awk '{print $1}' | sort -u");
  t.deepEqual(
    pods.stdout.trim().split('\n'),
    webPods(status)
      .map((p) => p.ips[0] ?? '')
      .sort(),
  );
  for (const absent of ['web', 'nope.shop', 'example.com', 'db-0.web-pods.shop']) {
    t.is((await inTool(`getent hosts ${absent}`)).exitCode, 2, absent);
  }
});

test.serial('a Service address reaches every replica, in both families, and refuses when nobody serves', async (t) => {
  const hosts = async (option: string): Promise<Set<string>> => {
    const { stdout } = await inTool(`for i in $(seq 12); do curl -sS ${option} http://web.shop/ && echo; done`);
    return new Set(
      stdout
        .trim()
        .split('\n')
        .map((l) => (JSON.parse(l) as { host: string }).host),
    );
  };
  t.is((await hosts('-4')).size, 2);
  t.is((await hosts('-6')).size, 2);
  const refused = await inTool('curl -sS -m 3 http://nobody.shop/');
  t.is(refused.exitCode, 7, refused.stderr);
});

test.serial('a pod reaches itself through its own Service', async (t) => {
  const pod = webPods(await mesh.client.status())[0]?.name ?? '';
  const script = `for (let i = 0; i < 12; i++) { const r = await (await fetch('http://web/', { headers: { connection: 'close' } })).json(); console.log(r.host) }`;
  const command = ['node', '--input-type=module', '-e', script];
  const { stdout, stderr } = await mesh.client.exec({ namespace: 'shop', pod, command });
  t.true(stdout.includes(pod), `${stdout}${stderr}`);
});

test.serial('init containers and sidecars come in order, environment and volumes are there', async (t) => {
  const { stdout } = await inTool(
    'cat /shared/order; echo $COLOR; echo $POD_IPS; cat /settings/color; echo; hostname; cat /var/run/secrets/mesh/labels',
  );
  const [first, beside, last, color, ips, setting, host, label] = stdout.trim().split('\n');
  t.deepEqual([first, beside, last], ['first', 'beside', 'last']);
  t.deepEqual([color, setting, host, label], ['blue', 'blue', 'tool', 'app="tool"']);
  const status = await mesh.client.status();
  t.is(ips, status.pods.find((p) => p.name === 'tool')?.ips.join(','));
});

test.serial('a token says who the pod is', async (t) => {
  const { stdout } = await inTool('cat /var/run/secrets/mesh/token');
  const claims = JSON.parse(Buffer.from(stdout.split('.')[1] ?? '', 'base64url').toString()) as {
    sub: string;
    aud: string[];
    exp: number;
    iat: number;
    'kubernetes.io': { pod: { name: string; uid: string } };
  };
  const pod = (await mesh.client.pods()).find((p) => p.metadata.name === 'tool');
  t.is(claims.sub, 'system:serviceaccount:default:default');
  t.deepEqual(claims.aud, ['chainmail-ca']);
  t.is(claims.exp - claims.iat, 700);
  t.deepEqual(claims['kubernetes.io'].pod, { name: 'tool', uid: pod?.metadata.uid ?? '' });
});

test.serial('containers are apart from the machine and run as the user they ask for', async (t) => {
  const pod = webPods(await mesh.client.status())[0]?.name ?? '';
  const who = await mesh.client.exec({ namespace: 'shop', pod, command: ['id', '-u'] });
  t.is(who.stdout.trim(), '1337');
  const log = await mesh.client.logs({ namespace: 'shop', pod });
  t.true(log.includes('listening as 1337'), log);
  const mark = `/var/chainmail-${process.pid}`;
  const { stdout, exitCode } = await inTool(`echo x > ${mark}; cat ${mark}; ls -A /root; ps ax | wc -l; exit 5`);
  t.is(exitCode, 5);
  t.false(fs.existsSync(mark), 'a write does not reach the machine');
  t.regex(stdout, /^x\n/);
  t.true(Number(stdout.trim().split('\n').at(-1)) < 10, 'it sees its own processes only');
});

test.serial('an unready pod gets no traffic, a dead one is restarted', async (t) => {
  const [pod] = webPods(await mesh.client.status());
  const ref = { namespace: 'shop', pod: pod?.name ?? '' };
  const slice = path.join(mesh.paths.objects, 'endpointslice.shop.web-ipv4.json');
  const readyNow = (): number => (fs.readFileSync(slice, 'utf8').match(/"ready": true/g) ?? []).length;
  t.is(readyNow(), 2);
  await mesh.client.exec({ ...ref, command: ['touch', '/tmp/unready'] });
  await eventually('removed from the endpoints', () => (readyNow() === 1 ? true : undefined));
  await mesh.client.exec({ ...ref, command: ['rm', '/tmp/unready'] });
  await eventually('back in the endpoints', () => (readyNow() === 2 ? true : undefined));
  await mesh.client.exec({ ...ref, command: ['touch', '/tmp/dead'] });
  await mesh.client.until('restarted and ready', readyMs, (s) => {
    const now = s.pods.find((p) => p.name === ref.pod);
    return now?.restarts === 1 && now.ready ? true : undefined;
  });
  t.true((await mesh.client.logs(ref)).includes('liveness probe: HTTP status 503'));
});

test.serial('an edited ConfigMap is seen in the running pod', async (t) => {
  write('tool.yaml', tool(marker, 'green'));
  await eventually('the new value', async () =>
    (await inTool('cat /settings/color')).stdout === 'green' ? true : undefined,
  );
  t.is((await mesh.client.status()).pods.find((p) => p.name === 'tool')?.restarts, 0);
});

test.serial('a Deployment scales, and rolls without a moment of nobody', async (t) => {
  const before = new Set(webPods(await mesh.client.status()).map((p) => p.name));
  write('web.yaml', web(3, 'v1'));
  await mesh.client.until('three replicas', readyMs, (s) =>
    webPods(s).filter((p) => p.ready).length === 3 ? true : undefined,
  );
  t.true(webPods(await mesh.client.status()).filter((p) => before.has(p.name)).length === 2, 'the two old ones stay');
  write('web.yaml', web(2, 'v2'));
  let least = 3;
  await mesh.client.until('two of the new version', readyMs, (s) => {
    least = Math.min(least, webPods(s).filter((p) => p.ready).length);
    const all = webPods(s);
    return all.length === 2 && all.every((p) => p.ready && p.labels['version'] === 'v2') ? true : undefined;
  });
  t.true(least >= 2);
});

test.serial('a pod that leaves the folder stops: the app first, its sidecar after it', async (t) => {
  write('stopping.yaml', stopping);
  await mesh.client.until('up', readyMs, (s) => (s.pods.find((p) => p.name === 'stopping')?.ready ? true : undefined));
  const log = (container: string): string =>
    fs.readFileSync(path.join(mesh.paths.logs, 'default/stopping', `${container}.log`), 'utf8');
  await eventually('both are listening to signals', () =>
    log('app').includes('up') && log('sidecar').includes('up') ? true : undefined,
  );
  fs.rmSync(path.join(dir, 'stopping.yaml'));
  await mesh.client.until('gone', readyMs, (s) => (s.pods.some((p) => p.name === 'stopping') ? undefined : true));
  const ended = (container: string): number => Number(/end (\d+)/.exec(log(container))?.[1]);
  t.true(ended('app') <= ended('sidecar'), `${ended('app')} and ${ended('sidecar')}`);
});

test.serial('mistakes are told with file and line, and running pods stay', async (t) => {
  write('broken.yaml', 'apiVersion: batch/v1\nkind: Job\nmetadata: { name: j }\n');
  const problem = await mesh.client.until('the problem', readyMs, (s) => s.problems[0]);
  t.is(path.basename(problem.origin.file), 'broken.yaml');
  t.regex(problem.reason, /Job/);
  fs.rmSync(path.join(dir, 'broken.yaml'));
  await mesh.client.until('no problem', readyMs, (s) => (s.problems.length === 0 ? true : undefined));
  t.is(webPods(await mesh.client.status()).length, 2);
});

test.serial('a pod that cannot start fails the wait with its last lines', async (t) => {
  write('crashing.yaml', crashing);
  const crashed = (s: DevStatus): DevStatus['pods'][number] | undefined => s.pods.find((p) => p.name === 'crashing');
  await mesh.client.until('it has failed', readyMs, (s) => (crashed(s)?.phase === 'Failed' ? true : undefined));
  const error = await t.throwsAsync(waitUntilReady(mesh.client, readyMs));
  t.regex(
    error?.message ?? '',
    /pod default\/crashing: container app ended with exit code 3\n.*\n.*the reason is here/,
  );
  fs.rmSync(path.join(dir, 'crashing.yaml'));
  await mesh.client.until('gone', readyMs, (s) => (crashed(s) === undefined ? true : undefined));
});

test.serial('a second mesh of the same name is refused', async (t) => {
  await t.throwsAsync(startLocalMesh({ dirs: [dir], name, withMesh: false }), { code: 'LOCAL_ALREADY_UP' });
});

test.serial('a killed supervisor takes its processes along, and the next start clears the rest', async (t) => {
  t.true(processesWith(`sleep\0${marker}`).length >= 2);
  const { pid } = await mesh.client.status();
  process.kill(pid, 'SIGKILL');
  await eventually('all processes are gone', () => (processesWith(`sleep\0${marker}`).length === 0 ? true : undefined));
  t.true(fs.existsSync(mesh.paths.dir), 'the run directory is left');
  mesh = await startLocalMesh({ dirs: [dir], name, withMesh: false });
  await waitUntilReady(mesh.client, readyMs);
  t.is((await inTool('curl -sS -o /dev/null -w "%{http_code}" http://web.shop/')).stdout, '200');
});

test.serial('stop leaves nothing behind', async (t) => {
  await mesh.stop();
  await mesh.ended;
  t.false(fs.existsSync(mesh.paths.dir));
  t.false(fs.existsSync(`/run/netns/${mesh.paths.nodeNetns}`));
  t.deepEqual(processesWith(`sleep\0${marker}`), []);
  t.deepEqual(processesWith(mesh.paths.name), []);
  t.false(fs.readFileSync('/proc/self/mountinfo', 'utf8').includes(mesh.paths.dir));
  t.false(await stopLocalMesh(name), 'there is nothing more to stop');
});

test.serial('meshctl works from a clone below a folder that only root may enter', async (t) => {
  const locked = fs.mkdtempSync(path.join(os.tmpdir(), 'e2e-locked-'));
  fs.mkdirSync(path.join(locked, 'clone'));
  fs.chmodSync(locked, 0o700);
  const pods = fs.mkdtempSync(path.join(os.tmpdir(), 'e2e-locked-pods-'));
  fs.writeFileSync(path.join(pods, 'a.yaml'), `${base}---${web(1, 'v1')}`);
  const meshctl = path.join(locked, 'clone/node_modules/.bin/meshctl');
  const script = [
    `mount --bind ${repository} ${locked}/clone`,
    `cd /; ${meshctl} dev up -f ${pods} --name ${name}-b --without-mesh --detach`,
    `${meshctl} dev exec --name ${name}-b web -- sh -c 'id -u; node -v; ls /opt/chainmail/package.json'`,
    `${meshctl} dev down --name ${name}-b`,
  ].join(' && ');
  try {
    const { stdout } = await promisify(execFile)('unshare', ['--mount', 'sh', '-c', script], { timeout: 60_000 });
    t.regex(stdout, /\n1337\nv26\.10\.0\n\/opt\/chainmail\/package\.json\neverything is gone\n$/);
  } finally {
    await stopLocalMesh(`${name}-b`);
    fs.rmSync(locked, { recursive: true, force: true });
    fs.rmSync(pods, { recursive: true, force: true });
  }
});
