/**
 * The life of one pod: network, volumes, init containers in order, native sidecars, then the app; at the end the app
 * first and the sidecars after it. Invariant: stop() leaves no process, mount, link or file of the pod but its logs.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type Clock, type Logger, messageOf } from '@chainmail/runtime';
import { addressPlan } from './address-plan.ts';
import { containerEnv, type EnvSources } from './container-env.ts';
import { ContainerProcess } from './container-process.ts';
import { ContainerRunner, type RestartRule } from './container-runner.ts';
import { launchOf, runtimeEnv, userOf } from './container-setup.ts';
import { resolveImage } from './images.ts';
import { LogFile } from './log-file.ts';
import type { Container, NamedPod, PodStatus } from './pod.ts';
import { isSidecar, podKey } from './pod.ts';
import { addPodLink, type PodLink, removePodLink } from './pod-network.ts';
import { podStatus } from './pod-status.ts';
import { PodVolumes } from './pod-volumes.ts';
import { runHandler } from './probe.ts';
import type { RunPaths } from './run-paths.ts';
import type { VolumeSources } from './volume-content.ts';

export interface PodHost {
  readonly clock: Clock;
  readonly log: Logger;
  readonly paths: RunPaths;
  readonly repository: string;
  readonly hostMounts: readonly string[];
  readonly domain: string;
  readonly objects: Pick<VolumeSources, 'configMap' | 'secret' | 'token'>;
  readonly onChange: () => void;
}

const retryMs = 500;

export class PodRunner {
  readonly key: string;
  readonly #host: PodHost;
  readonly #addresses: { readonly v4: string; readonly v6: string };
  readonly #volumes: PodVolumes;
  readonly #dir: string;
  readonly #logs = new Map<string, LogFile>();
  readonly #init: readonly ContainerRunner[];
  readonly #app: readonly ContainerRunner[];
  readonly #startTime: string;
  #pod: NamedPod;
  #link: PodLink | undefined;
  #initialized = false;
  #blocked: { readonly reason: string; readonly message: string } | undefined;
  #failed: string | undefined;
  #stopping: Promise<void> | undefined;
  #wake: (() => void)[] = [];

  constructor(pod: NamedPod, addresses: { readonly v4: string; readonly v6: string }, host: PodHost) {
    this.key = podKey(pod);
    this.#pod = pod;
    this.#host = host;
    this.#addresses = addresses;
    this.#dir = path.join(host.paths.private, 'pods', pod.metadata.uid.slice(0, 8));
    this.#startTime = new Date(host.clock.now()).toISOString();
    this.#volumes = new PodVolumes({
      pod,
      dir: path.join(this.#dir, 'v'),
      sources: { ...host.objects, podIps: this.#podIps(), hostIp: addressPlan.nodeV4 },
      clock: host.clock,
      onProblem: (text) => host.log.warn({ pod: this.key }, text),
    });
    const rule = restartRule(pod.spec.restartPolicy);
    this.#init = (pod.spec.initContainers ?? []).map((c) => this.#runner(c, initRule(c, rule)));
    this.#app = pod.spec.containers.map((c) => this.#runner(c, rule));
  }

  /** The pod with its status of now. */
  get pod(): NamedPod {
    return { ...this.#pod, status: this.#status() };
  }

  get netns(): string | undefined {
    return this.#link?.netns;
  }

  volumePath(name: string): string {
    return this.#volumes.path(name);
  }

  containerNames(): string[] {
    return [...this.#app, ...this.#init].map((r) => r.container.name);
  }

  /** Goes on in the background; progress is in the status. */
  start(): void {
    void this.#run().catch((error: unknown) => {
      this.#failed = messageOf(error);
      this.#host.log.error({ pod: this.key, err: error }, 'pod failed');
      this.#changed();
    });
  }

  refreshVolumes(): void {
    if (this.#link !== undefined && this.#blocked === undefined) this.#volumes.refresh();
  }

  trimLogs(): void {
    for (const log of this.#logs.values()) log.trim();
  }

  /** Ends the pod within maxGraceMs or its own grace period, whichever is shorter. */
  stop(maxGraceMs = Number.POSITIVE_INFINITY): Promise<void> {
    this.#stopping ??= this.#stop(maxGraceMs);
    return this.#stopping;
  }

  /** Arguments to run a command inside a container; undefined when it is not running. */
  execInside(container: string, command: readonly string[]): ReturnType<ContainerProcess['execInside']> {
    const runner = [...this.#app, ...this.#init].find((r) => r.container.name === container);
    return runner?.process?.execInside(command);
  }

  async #run(): Promise<void> {
    const { v4, v6 } = this.#addresses;
    fs.mkdirSync(path.join(this.#dir, 'v'), { recursive: true, mode: 0o700 });
    fs.mkdirSync(path.join(this.#host.paths.private, 'netns'), { recursive: true, mode: 0o700 });
    this.#writeEtc();
    this.#link = await addPodLink(
      path.join(this.#host.paths.private, 'netns'),
      this.#pod.metadata.uid.slice(0, 8),
      v4,
      v6,
    );
    this.#changed();
    await this.#createVolumes();
    for (const runner of this.#init) {
      if (this.#stopping !== undefined) return;
      runner.start();
      if (!(await this.#initDone(runner))) return;
    }
    if (this.#stopping !== undefined) return;
    this.#initialized = true;
    for (const runner of this.#app) runner.start();
    this.#changed();
  }

  async #createVolumes(): Promise<void> {
    while (this.#stopping === undefined) {
      try {
        await this.#volumes.create();
        this.#blocked = undefined;
        return;
      } catch (error) {
        this.#blocked = { reason: 'ContainerCreating', message: messageOf(error) };
        this.#changed();
        await new Promise<void>((done) => this.#host.clock.after(retryMs, done));
      }
    }
  }

  /** True when the next one may start; false when the pod has failed or is being stopped. */
  async #initDone(runner: ContainerRunner): Promise<boolean> {
    for (;;) {
      if (this.#stopping !== undefined) return false;
      if (isSidecar(runner.container) && runner.started) return true;
      const code = isSidecar(runner.container) ? undefined : runner.finished;
      if (code === 0) return true;
      if (code !== undefined) {
        this.#failed = `init container ${runner.container.name} ended with exit code ${code}`;
        this.#changed();
        return false;
      }
      await new Promise<void>((done) => this.#wake.push(done));
    }
  }

  async #stop(maxGraceMs: number): Promise<void> {
    const graceMs = Math.min(maxGraceMs, (this.#pod.spec.terminationGracePeriodSeconds ?? 30) * 1000);
    const endMs = this.#host.clock.now() + graceMs;
    const left = (): number => Math.max(0, endMs - this.#host.clock.now());
    this.#pod = {
      ...this.#pod,
      metadata: { ...this.#pod.metadata, deletionTimestamp: new Date(this.#host.clock.now()).toISOString() },
    };
    this.#changed();
    await Promise.all(this.#app.map((r) => this.#stopContainer(r, left)));
    // Sidecars go in reverse order, each with at least a moment to finish, as the kubelet has it.
    for (const runner of [...this.#init].reverse()) await this.#stopContainer(runner, () => Math.max(left(), 2000));
    await this.#volumes.remove();
    if (this.#link !== undefined) await removePodLink(this.#link, this.#addresses.v4, this.#addresses.v6);
    fs.rmSync(this.#dir, { recursive: true, force: true });
    for (const log of this.#logs.values()) log.close();
    this.#logs.clear();
  }

  async #stopContainer(runner: ContainerRunner, leftMs: () => number): Promise<void> {
    const preStop = runner.container.lifecycle?.preStop;
    if (preStop !== undefined && runner.process !== undefined) {
      if (preStop.sleep === undefined) await this.#handle(runner.container, preStop, leftMs());
      else {
        const ms = Math.min(leftMs(), preStop.sleep.seconds * 1000);
        await new Promise<void>((done) => this.#host.clock.after(ms, done));
      }
    }
    await runner.stop(leftMs());
  }

  #runner(container: Container, rule: RestartRule): ContainerRunner {
    return new ContainerRunner(container, rule, {
      clock: this.#host.clock,
      start: () => this.#startContainer(container),
      probe: (handler, timeoutMs) => this.#handle(container, handler, timeoutMs),
      onChange: () => this.#changed(),
      note: (text) => this.#log(container.name).note(text),
    });
  }

  #startContainer(container: Container): ContainerProcess {
    const sources: EnvSources = { ...this.#host.objects, podIps: this.#podIps(), hostIp: addressPlan.nodeV4 };
    const base = runtimeEnv(this.#pod, userOf(this.#pod, container).uid);
    const env = { ...base, ...containerEnv(this.#pod, container, sources) };
    const image = resolveImage(container, this.#host.repository);
    const paths = {
      scratch: this.#scratch(),
      etc: path.join(this.#dir, 'etc'),
      volume: (name: string) => this.#volumes.path(name),
      repository: this.#host.repository,
      hostMounts: this.#host.hostMounts,
    };
    const launch = launchOf(this.#pod, container, image, paths, env);
    if (this.#link === undefined) throw new Error('the pod has no network yet');
    return new ContainerProcess(launch, env, this.#link.netns, this.#log(container.name).fd);
  }

  #scratch(): string {
    const dir = path.join(this.#host.paths.private, 'scratch');
    fs.mkdirSync(dir, { recursive: true });
    return dir;
  }

  #handle(
    container: Container,
    handler: Parameters<typeof runHandler>[0],
    timeoutMs: number,
  ): ReturnType<typeof runHandler> {
    const exec = (command: readonly string[], limitMs: number): Promise<number> =>
      this.#execToEnd(container.name, command, limitMs);
    return runHandler(handler, { podIp: this.#addresses.v4, container, exec }, timeoutMs);
  }

  #execToEnd(container: string, command: readonly string[], timeoutMs: number): Promise<number> {
    const inside = this.execInside(container, command);
    if (inside === undefined) return Promise.resolve(126);
    return new Promise((done) => {
      const [program = '', ...args] = inside.argv;
      const child = spawn(program, args, {
        env: inside.env,
        stdio: 'ignore',
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
      });
      child.on('error', () => done(126));
      child.on('exit', (code) => done(code ?? 137));
    });
  }

  #writeEtc(): void {
    const { namespace, name } = this.#pod.metadata;
    const host = this.#pod.spec.hostname ?? name;
    const { domain } = this.#host;
    const etc = path.join(this.#dir, 'etc');
    fs.mkdirSync(etc, { recursive: true, mode: 0o755 });
    const search = [`${namespace}.svc.${domain}`, `svc.${domain}`, domain].join(' ');
    fs.writeFileSync(
      path.join(etc, 'resolv.conf'),
      `nameserver ${addressPlan.nodeV4}\nsearch ${search}\noptions ndots:5\n`,
    );
    const aliases = (this.#pod.spec.hostAliases ?? []).map((a) => `${a.ip}\t${(a.hostnames ?? []).join('\t')}`);
    const fixed = ['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback'];
    const own = this.#podIps().map((ip) => `${ip}\t${host}`);
    fs.writeFileSync(path.join(etc, 'hosts'), `${[...fixed, ...own, ...aliases].join('\n')}\n`);
    fs.writeFileSync(path.join(etc, 'hostname'), `${host}\n`);
    for (const f of ['resolv.conf', 'hosts', 'hostname']) fs.chmodSync(path.join(etc, f), 0o644);
  }

  #log(container: string): LogFile {
    const known = this.#logs.get(container);
    if (known !== undefined) return known;
    const log = new LogFile(path.join(this.#host.paths.logs, this.key, `${container}.log`));
    this.#logs.set(container, log);
    return log;
  }

  #podIps(): string[] {
    return [this.#addresses.v4, this.#addresses.v6];
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const w of wake) w();
    this.#host.onChange();
  }

  #previous: PodStatus | undefined;
  #status(): PodStatus {
    this.#previous = podStatus({
      spec: this.#pod.spec,
      init: this.#init.map((r) => r.status()),
      app: this.#app.map((r) => r.status()),
      initialized: this.#initialized,
      podIps: this.#link === undefined ? [] : this.#podIps(),
      hostIp: addressPlan.nodeV4,
      startTime: this.#startTime,
      now: new Date(this.#host.clock.now()).toISOString(),
      ...(this.#blocked === undefined ? {} : { blocked: this.#blocked }),
      ...(this.#failed === undefined ? {} : { failed: this.#failed }),
      ...(this.#previous === undefined ? {} : { previous: this.#previous }),
    });
    return this.#previous;
  }
}

function restartRule(policy: string | undefined): RestartRule {
  if (policy === 'Never') return 'never';
  return policy === 'OnFailure' ? 'on-failure' : 'always';
}

/** A regular init container is tried until it succeeds, unless the pod says Never. */
function initRule(c: Container, rule: RestartRule): RestartRule {
  if (isSidecar(c)) return 'always';
  return rule === 'never' ? 'never' : 'on-failure';
}
