/**
 * The running cluster as a test sees it. `npm run test:cluster` starts it once and runs every test in its network
 * namespace, so that a test reaches the API server, pods and Services directly, as the node does.
 *
 *   const cluster = connect();
 *   const ns = await cluster.namespace(t, { 'chainmail.dev/inject': 'enabled' });
 *   await cluster.api.apply(yaml, ns);
 *   await cluster.available(ns, 'web');
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { httpRouteDefinition } from './bed/gateway-api.ts';
import { groundOf, restartApiServer } from './bed/up.ts';
import { type Kind, KubeApi, type KubeObject } from './kube-api.ts';

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a test framework gives: a place for what must be undone. */
export interface Teardown {
  readonly teardown: (undo: () => Promise<void> | void) => void;
}

/** The same for all tests of a file: filled in test.before, run in test.after.always. */
export class Undo implements Teardown {
  readonly #steps: (() => Promise<void> | void)[] = [];

  teardown(step: () => Promise<void> | void): void {
    this.#steps.push(step);
  }

  async run(): Promise<void> {
    for (const step of this.#steps.splice(0).reverse()) await step();
  }
}

/** A command that runs on in a container until its standard input ends. */
export interface RunningCommand {
  /** Lines of standard output so far. */
  readonly lines: readonly string[];
  /** The first line, of those there are or come, for which the predicate holds. @throws Error at the deadline */
  readonly line: (holds: (line: string) => boolean, deadlineMs: number) => Promise<string>;
  /** Ends its input and waits for it. */
  readonly finish: () => Promise<readonly string[]>;
}

const kind = (apiVersion: string, name: string): Kind => ({ apiVersion, kind: name });

export const kinds = {
  Namespace: kind('v1', 'Namespace'),
  Pod: kind('v1', 'Pod'),
  Service: kind('v1', 'Service'),
  ServiceAccount: kind('v1', 'ServiceAccount'),
  ConfigMap: kind('v1', 'ConfigMap'),
  Secret: kind('v1', 'Secret'),
  Event: kind('v1', 'Event'),
  Deployment: kind('apps/v1', 'Deployment'),
  StatefulSet: kind('apps/v1', 'StatefulSet'),
  DaemonSet: kind('apps/v1', 'DaemonSet'),
  ReplicaSet: kind('apps/v1', 'ReplicaSet'),
  Job: kind('batch/v1', 'Job'),
  CronJob: kind('batch/v1', 'CronJob'),
  EndpointSlice: kind('discovery.k8s.io/v1', 'EndpointSlice'),
  CustomResourceDefinition: kind('apiextensions.k8s.io/v1', 'CustomResourceDefinition'),
  HTTPRoute: kind('gateway.networking.k8s.io/v1', 'HTTPRoute'),
  MutatingWebhookConfiguration: kind('admissionregistration.k8s.io/v1', 'MutatingWebhookConfiguration'),
} as const;

/** Environment of whatever runs in the cluster's network namespace: the bed's folder. */
export const bedVariable = 'CHAINMAIL_CLUSTER';

export class Cluster {
  readonly api: KubeApi;
  /** Of the administrator. */
  readonly kubeconfig: string;
  readonly #work: string;

  constructor(work: string) {
    this.#work = work;
    this.api = new KubeApi(path.join(work, 'pki'));
    this.kubeconfig = path.join(work, 'pki/admin.kubeconfig');
  }

  /** A namespace of a fresh name with these labels, removed when the test ends. */
  async namespace(t: Teardown, labels: Readonly<Record<string, string>> = {}): Promise<string> {
    const name = `t-${randomBytes(4).toString('hex')}`;
    await this.api.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
    t.teardown(() => this.api.remove(kinds.Namespace, undefined, name));
    await this.api.until(kinds.ServiceAccount, name, 'default', (o) => o !== undefined);
    return name;
  }

  /** Once all replicas of a Deployment are of its newest generation and available. */
  async available(namespace: string, deployment: string, deadlineMs?: number): Promise<KubeObject> {
    const object = await this.api.until(kinds.Deployment, namespace, deployment, isRolledOut, deadlineMs);
    return object as KubeObject;
  }

  /** Once a pod is Ready. */
  async ready(namespace: string, pod: string, deadlineMs?: number): Promise<KubeObject> {
    return (await this.api.until(kinds.Pod, namespace, pod, isReady, deadlineMs)) as KubeObject;
  }

  /**
   * Once new connections to a Service go to these pods and no other: kube-proxy writes its rules up to a second after
   * the API server knows, and until then a connection may still be sent to a pod that is gone.
   */
  async routed(namespace: string, service: string, pods: readonly KubeObject[]): Promise<void> {
    const chain = new RegExp(`chain service-\\w+-${namespace}/${service}/\\S+ \\{([^}]*vmap \\{[^}]*\\})`);
    const asked = async (): Promise<string> => {
      const { stdout } = await this.run('nft', ['list', 'table', 'ip', 'kube-proxy']);
      const targets = chain.exec(stdout)?.[1]?.match(/(?<=__)[\d.]+/g) ?? [];
      return targets.toSorted().join(' ');
    };
    const wanted = pods.map((p) => p['status'].podIP as string).toSorted();
    await this.api.eventually(asked, (seen) => seen === wanted.join(' '));
  }

  /** Pods with these labels that are not on their way out. */
  async pods(namespace: string, labels: Readonly<Record<string, string>>): Promise<readonly KubeObject[]> {
    const pods = await this.api.list(kinds.Pod, namespace, selectorOf(labels));
    return pods.filter((p) => p.metadata.deletionTimestamp === undefined);
  }

  /** kubectl with the administrator's rights; never rejects. */
  kubectl(args: readonly string[], stdin = ''): Promise<CommandResult> {
    return this.run(path.join(this.#work, 'bin/kubectl'), ['--kubeconfig', this.kubeconfig, ...args], stdin);
  }

  exec(namespace: string, pod: string, container: string, command: readonly string[]): Promise<CommandResult> {
    return this.kubectl(['exec', '-n', namespace, pod, '-c', container, '--', ...command]);
  }

  /** A command in a container that goes on while the test does other things. */
  start(namespace: string, pod: string, container: string, command: readonly string[]): RunningCommand {
    const kubectl = [`--kubeconfig=${this.kubeconfig}`, 'exec', '-i', '-n', namespace, pod, '-c', container, '--'];
    const child = spawn(path.join(this.#work, 'bin/kubectl'), [...kubectl, ...command], { stdio: 'pipe' });
    return follow(child);
  }

  /** The API server is killed and comes back; everything that watched it has lost its watch. */
  restartApiServer(): Promise<void> {
    return restartApiServer(groundOf(this.#work));
  }

  /** The definition of the Gateway API's HTTPRoute, a file for kubectl. */
  get httpRouteDefinition(): string {
    return httpRouteDefinition(this.#work);
  }

  /** A path on the node as this process sees it; below /var/lib. */
  nodePath(file: string): string {
    return path.join(this.#work, 'lib', path.relative('/var/lib', file));
  }

  async logs(namespace: string, pod: string, container: string): Promise<string> {
    const { status, text } = await this.api.raw(
      'GET',
      `/api/v1/namespaces/${namespace}/pods/${pod}/log?container=${container}`,
    );
    if (status !== 200) throw new Error(`logs of ${namespace}/${pod} ${container}: ${text}`);
    return text;
  }

  /** As a user runs it, from the sources. */
  meshctl(args: readonly string[], stdin = ''): Promise<CommandResult> {
    return this.run(path.resolve(import.meta.dirname, '../../node_modules/.bin/meshctl'), args, stdin);
  }

  /** A command here, with KUBECONFIG set and kubectl on the PATH; never rejects. */
  run(command: string, args: readonly string[], stdin = ''): Promise<CommandResult> {
    const env = { ...process.env, KUBECONFIG: this.kubeconfig, PATH: `${this.#work}/bin:${process.env['PATH']}` };
    return new Promise((resolve) => {
      const child = spawn(command, args, { env, stdio: 'pipe' });
      let stdout = '';
      let stderr = '';
      child.stdout.setEncoding('utf8').on('data', (chunk) => (stdout += chunk));
      child.stderr.setEncoding('utf8').on('data', (chunk) => (stderr += chunk));
      child.on('error', (error) => resolve({ code: -1, stdout, stderr: error.message }));
      child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
      child.stdin.on('error', () => {}); // a command that ends before it has read says so by its code
      child.stdin.end(stdin);
    });
  }

  /** Adds an OCI layout or docker archive to the node's images. */
  async importImages(archive: string): Promise<void> {
    const { code, stderr } = await this.ctr(['images', 'import', archive]);
    if (code !== 0) throw new Error(`ctr images import ${archive}: ${stderr}`);
  }

  /** containerd's own tool, in the namespace of kubelet's images and containers. */
  ctr(args: readonly string[]): Promise<CommandResult> {
    const socket = path.join(this.#work, 'run/containerd/containerd.sock');
    return this.run('ctr', ['-a', socket, '-n', 'k8s.io', ...args]);
  }
}

function follow(child: ChildProcessWithoutNullStreams): RunningCommand {
  const lines: string[] = [];
  const watchers = new Set<() => void>();
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (chunk) => (errors += chunk));
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    for (const watch of watchers) watch();
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`exit code ${code}: ${errors}`))));
  });
  ended.catch(() => {});
  const line = (holds: (line: string) => boolean, deadlineMs: number): Promise<string> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => settle(null), deadlineMs);
      const settle = (found: string | null): void => {
        clearTimeout(timer);
        watchers.delete(look);
        if (found !== null) resolve(found);
        else reject(new Error(`no such line in ${deadlineMs} ms: ${lines.slice(-5).join('\n')} ${errors}`));
      };
      const look = (): void => {
        const found = lines.find(holds);
        if (found !== undefined) settle(found);
      };
      watchers.add(look);
      look();
    });
  const finish = async (): Promise<readonly string[]> => {
    child.stdin.end();
    await ended;
    return lines;
  };
  return { lines, line, finish };
}

/** @throws Error outside the bed */
export function connect(): Cluster {
  const work = process.env[bedVariable];
  if (work === undefined) throw new Error('not in a cluster: run  npm run test:cluster [-- PATTERN]');
  return new Cluster(work);
}

export function selectorOf(labels: Readonly<Record<string, string>>): string {
  const terms = Object.entries(labels).map(([k, v]) => `${k}=${v}`);
  return `labelSelector=${encodeURIComponent(terms.join(','))}`;
}

export function isReady(pod: KubeObject | undefined): boolean {
  const conditions: readonly { type: string; status: string }[] = pod?.['status']?.conditions ?? [];
  return conditions.some((c) => c.type === 'Ready' && c.status === 'True');
}

export function isRolledOut(deployment: KubeObject | undefined): boolean {
  if (deployment === undefined) return false;
  const { metadata, spec, status = {} } = deployment;
  const wanted = spec.replicas ?? 1;
  return (
    status.observedGeneration === metadata.generation &&
    (status.updatedReplicas ?? 0) === wanted &&
    (status.availableReplicas ?? 0) === wanted &&
    (status.replicas ?? 0) === wanted
  );
}
