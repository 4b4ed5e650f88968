/**
 * Admission reviews at a steady rate against the injector on one core: `node injector/src/bench/admission.ts [RATE]
 * [SECONDS]`. A request's time begins when it was due, so a server that falls behind cannot hide it.
 * Ends with 1 when the 99th percentile is not below 10 ms.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';

const boundMs = 10;
const [rate = 100, seconds = 20] = process.argv.slice(2).map(Number);
const warmUpSeconds = 3;

/** As an API server sends it for a pod of a Deployment with three containers and probes. */
function reviewBody(): string {
  const probe = { httpGet: { path: '/healthz', port: 'http', scheme: 'HTTP' }, timeoutSeconds: 1, periodSeconds: 10 };
  const container = (name: string, port: number) => ({
    name,
    image: `registry.example.com/shop/${name}:1.2.3`,
    ports: [{ name: 'http', containerPort: port, protocol: 'TCP' }],
    env: Array.from({ length: 30 }, (_, i) => ({ name: `SETTING_${i}`, value: `value of setting number ${i}` })),
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { cpu: '1', memory: '256Mi' } },
    volumeMounts: [{ name: 'data', mountPath: '/data' }],
    livenessProbe: probe,
    readinessProbe: probe,
    imagePullPolicy: 'IfNotPresent',
  });
  const object = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: 'web-5d9c7b8f6-',
      labels: { app: 'web', 'pod-template-hash': '5d9c7b8f6' },
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-5d9c7b8f6', uid: 'u', controller: true },
      ],
    },
    spec: {
      containers: [container('web', 8080), container('cache', 8081), container('log', 8082)],
      initContainers: [container('migrate', 8083)],
      volumes: [{ name: 'data', emptyDir: {} }],
      serviceAccountName: 'web',
      terminationGracePeriodSeconds: 30,
    },
  };
  const request = {
    uid: 'u-1',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    operation: 'CREATE',
    namespace: 'shop',
  };
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: { ...request, object },
  });
}

async function ready(child: ChildProcess): Promise<{ port: number; ca: string }> {
  const [message] = (await once(child, 'message')) as [{ port: number; ca: string }];
  return message;
}

function review(options: https.RequestOptions, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = https.request(options, (response) => {
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
      });
      response.on('end', () =>
        response.statusCode === 200 && length > 1000 ? resolve(length) : reject(new Error(`${response.statusCode}`)),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Starts every request when it is due and resolves with each one's time. */
async function paced(count: number, once_: () => Promise<unknown>): Promise<number[]> {
  const begun = performance.now();
  const all: Promise<number>[] = [];
  for (let i = 0; i < count; i++) {
    const dueMs = begun + (i * 1000) / rate;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await new Promise((done) => setTimeout(done, waitMs));
    all.push(once_().then(() => performance.now() - dueMs));
  }
  return Promise.all(all);
}

/** User and system time of a process, in seconds. */
function cpuSeconds(pid: number): number {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'admission-'));
fs.writeFileSync(path.join(dir, 'values.yaml'), 'image: chainmail.dev/agent:bench\n');
const server = path.join(import.meta.dirname, 'server.ts');
const core = String(os.availableParallelism() - 1);
const child = spawn('taskset', ['-c', core, process.execPath, '--no-warnings', server, path.join(dir, 'values.yaml')], {
  stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
});
try {
  const { port, ca } = await ready(child);
  const body = reviewBody();
  const agent = new https.Agent({ keepAlive: true, ca, servername: 'localhost' });
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const options = { host: '127.0.0.1', port, path: '/inject', method: 'POST', agent, headers };
  while ((await review(options, body).catch(() => 0)) === 0) await new Promise((done) => setTimeout(done, 50));
  await paced(rate * warmUpSeconds, () => review(options, body));
  const before = cpuSeconds(child.pid ?? 0);
  const times = (await paced(rate * seconds, () => review(options, body))).sort((a, b) => a - b);
  const cpu = ((cpuSeconds(child.pid ?? 0) - before) / seconds) * 100;
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  const figures = [0.5, 0.9, 0.99, 0.999].map((s) => `p${s * 100} ${at(s).toFixed(2)} ms`).join('  ');
  console.log(
    `${rate} reviews/s for ${seconds} s, ${body.length} bytes each: ${figures}  CPU ${cpu.toFixed(1)} % of a core`,
  );
  agent.destroy();
  process.exitCode = at(0.99) < boundMs ? 0 : 1;
} finally {
  child.kill();
  fs.rmSync(dir, { recursive: true });
}
