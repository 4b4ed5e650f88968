/** Requests from inside a pod of the application's image. */
import { labels } from '@chainmail/runtime';
import { type Cluster, kinds } from './cluster.ts';
import { idle, pod } from './workloads.ts';

export interface Answer {
  /** 0 when there was none. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

export async function call(
  cluster: Cluster,
  from: { readonly namespace: string; readonly pod: string },
  url: string,
  method = 'GET',
): Promise<Answer> {
  const command = ['node', '/app/call.ts', url, method];
  const { code, stdout, stderr } = await cluster.exec(from.namespace, from.pod, 'app', command);
  if (code !== 0) throw new Error(`${from.pod}: ${command.join(' ')}: ${stderr}`);
  return JSON.parse(stdout);
}

/** Once requests from there are answered with 200: what Kubernetes knows agents know a moment later. */
export async function answered(
  cluster: Cluster,
  from: { readonly namespace: string; readonly pod: string },
  url: string,
): Promise<void> {
  const seen = cluster.start(from.namespace, from.pod, 'app', ['node', '/app/observe.ts', url]);
  await seen.line((line) => line.endsWith(' 200'), 60_000);
  await seen.finish();
}

/** Once the API server reaches the injector again: the node's network learns a moment later which pods are ready. */
export async function reviewed(cluster: Cluster): Promise<void> {
  const asked = pod('asked', { container: idle, labels: { [labels.inject]: 'enabled' } });
  const trouble = (): Promise<string> => cluster.api.create(asked, 'default', '?dryRun=All').then(() => '', String);
  await cluster.api.eventually(trouble, (text) => !text.includes('failed calling webhook'));
}

/** What `load.ts` tells at its end. */
export interface LoadReport {
  readonly sent: number;
  readonly answered: number;
  readonly failures: readonly string[];
  /** Ids of the POSTs that were answered with 200. */
  readonly posted: readonly string[];
}

export function startLoad(cluster: Cluster, namespace: string, pod: string, url: string, perSecond = 50) {
  const running = cluster.start(namespace, pod, 'app', ['node', '/app/load.ts', url, String(perSecond)]);
  return async (): Promise<LoadReport> => JSON.parse((await running.finish()).at(-1) ?? '{}');
}

/** The same as a pod of its own, which goes on while the API server is away. */
export async function loadPod(cluster: Cluster, namespace: string, url: string, perSecond = 40) {
  const command = ['sh', '-c', `until [ -e /tmp/stop ]; do sleep 0.1; done | node /app/load.ts ${url} ${perSecond}`];
  const container = { ...idle, command };
  await cluster.api.create(pod('load', { container, spec: { restartPolicy: 'Never' } }), namespace);
  await cluster.ready(namespace, 'load');
  return async (): Promise<LoadReport> => {
    const { code, stderr } = await cluster.exec(namespace, 'load', 'app', ['touch', '/tmp/stop']);
    if (code !== 0) throw new Error(stderr);
    await cluster.api.until(kinds.Pod, namespace, 'load', (p) => p?.['status'].phase === 'Succeeded');
    return JSON.parse((await cluster.logs(namespace, 'load', 'app')).trimEnd().split('\n').at(-1) ?? '{}');
  };
}
