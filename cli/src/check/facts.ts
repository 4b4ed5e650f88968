/** What the checks look at. Invariant: each thing is read once for a run, so that they all judge the same state. */
import { X509Certificate } from 'node:crypto';
import type { KubeObject } from '@chainmail/kube';
import type { ApiClient } from '@chainmail/kube/cluster';
import { labels, system, trustBundleConfigMap } from '@chainmail/runtime';
import { listAll } from '../cluster/apply.ts';
import { listPath, objectPath } from '../cluster/paths.ts';
import type { PodObject } from '../cluster/rollout.ts';
import { type Installed, readInstalled } from '../install/record.ts';
import { type CertificateRow, type CertsPage, certificateRows } from '../mesh/certificate-rows.ts';
import { fromEach, type MeshClient, type MeshPod } from '../mesh/mesh-client.ts';
import type { AgentsPage } from '../mesh/proxy-status-rows.ts';

export interface FactsOptions {
  readonly api: ApiClient;
  readonly mesh: MeshClient;
  readonly nowMs: number;
  /** Certificates must last longer than this. */
  readonly failWithinMs: number;
}

export interface WithData extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** What a mesh's labelled namespaces are. */
export const isMeshed = (namespace: KubeObject): boolean => namespace.metadata.labels?.[labels.inject] === 'enabled';

const bundleText = (map: WithData | undefined): string | undefined => map?.data?.[trustBundleConfigMap.key];

export class Facts {
  readonly api: ApiClient;
  readonly nowMs: number;
  readonly failWithinMs: number;
  readonly #mesh: MeshClient;
  readonly #read = new Map<string, Promise<unknown>>();

  constructor({ api, mesh, nowMs, failWithinMs }: FactsOptions) {
    this.api = api;
    this.#mesh = mesh;
    this.nowMs = nowMs;
    this.failWithinMs = failWithinMs;
  }

  #once<T>(what: string, read: () => Promise<T>): Promise<T> {
    const known = this.#read.get(what) as Promise<T> | undefined;
    if (known !== undefined) return known;
    const reading = read();
    this.#read.set(what, reading);
    return reading;
  }

  /** `{major, minor, gitVersion}`. */
  version(): Promise<{ readonly major?: string; readonly minor?: string; readonly gitVersion?: string }> {
    return this.#once('version', async () => (await this.api.request({ method: 'GET', path: '/version' })) as object);
  }

  installed(): Promise<Installed | undefined> {
    return this.#once('installed', () => readInstalled(this.api));
  }

  nodes(): Promise<readonly KubeObject[]> {
    return this.#once('nodes', () => listAll(this.api, '/api/v1/nodes'));
  }

  namespaces(): Promise<readonly KubeObject[]> {
    return this.#once('namespaces', () => listAll(this.api, listPath('Namespace')));
  }

  async meshedNamespaces(): Promise<readonly string[]> {
    const meshed = (await this.namespaces()).filter(isMeshed);
    return meshed.map((n) => n.metadata.name ?? '').sort();
  }

  pods(): Promise<readonly PodObject[]> {
    return this.#once('pods', () => listAll(this.api, listPath('Pod')));
  }

  meshPods(): Promise<readonly MeshPod[]> {
    return this.#once('mesh pods', async () => (await this.#mesh.pods()).filter((p) => p.meshed));
  }

  /** The bundle of each namespace that has one. */
  bundles(): Promise<ReadonlyMap<string, string>> {
    return this.#once('bundles', async () => {
      const fieldSelector = `metadata.name=${trustBundleConfigMap.name}`;
      const maps: readonly WithData[] = await listAll(this.api, listPath('ConfigMap'), { fieldSelector });
      return new Map(maps.map((m) => [m.metadata.namespace ?? '', bundleText(m) ?? '']));
    });
  }

  /** The bundle the CA published beside itself: the one all others must equal. */
  async bundle(): Promise<string | undefined> {
    return (await this.bundles()).get(system.namespace);
  }

  async roots(): Promise<readonly X509Certificate[]> {
    const pems = (await this.bundle())?.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    return pems.map((pem) => new X509Certificate(pem));
  }

  webhooks(): Promise<KubeObject | undefined> {
    const path = objectPath('MutatingWebhookConfiguration', 'chainmail-injector');
    return this.#once('webhooks', () => this.api.get(path));
  }

  /** Certificates of all agents that answered, and what the others said. */
  certificates(): Promise<{ readonly rows: readonly CertificateRow[]; readonly problems: readonly string[] }> {
    return this.#once('certificates', async () => {
      const ready = (await this.meshPods()).filter((p) => p.ready);
      const read = await fromEach(ready, async (p) => JSON.parse(await this.#mesh.admin(p, '/certs')) as CertsPage);
      return {
        rows: read.flatMap((r) => (r.value === undefined ? [] : certificateRows(r.pod, r.value, this.nowMs))),
        problems: read.flatMap((r) => r.problem ?? []),
      };
    });
  }

  /** Pods with a stream to any control process. */
  connectedAgents(): Promise<ReadonlySet<string>> {
    return this.#once('agents', async () => {
      const instances = await this.#mesh.instances('control');
      const pages = await Promise.all(
        instances.map(async (i) => JSON.parse(await this.#mesh.control(i, '/debug/agents')) as AgentsPage),
      );
      return new Set(pages.flatMap((p) => p.agents.map((a) => a.pod)));
    });
  }
}
