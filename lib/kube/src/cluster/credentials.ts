/**
 * Where the API server is and who we are there, through @kubernetes/client-node: the pod's service account, or a
 * kubeconfig. Invariant: token and certificates come from their files anew, so what Kubernetes rotates is followed.
 */
import fs from 'node:fs';
import type https from 'node:https';
import path from 'node:path';
import { messageOf, UserError } from '@chainmail/runtime';
import { KubeConfig } from '@kubernetes/client-node';

export interface ClusterAccess {
  /** A kubeconfig file, or several as in KUBECONFIG; absent takes the pod's service account. */
  readonly kubeconfig?: string | undefined;
  /** A context of it; absent takes its current one. */
  readonly context?: string | undefined;
}

/** After a 401 the files are read again, but a server that refuses us for good does not make us read all day. */
const rereadEveryMs = 5000;

function inCluster(): KubeConfig {
  const config = new KubeConfig();
  if (!process.env['KUBERNETES_SERVICE_HOST']) {
    throw new UserError('KUBE_CREDENTIALS', 'this process is in no pod: KUBERNETES_SERVICE_HOST is not set', {
      hint: 'outside of a cluster give --kubeconfig FILE',
    });
  }
  config.loadFromCluster();
  return config;
}

function loaded(file: string): KubeConfig {
  const config = new KubeConfig();
  try {
    if (!fs.statSync(file).isFile()) throw new Error('not a file');
    config.loadFromFile(file);
  } catch (cause) {
    throw new UserError('KUBE_CREDENTIALS', `cannot use the kubeconfig ${file}: ${messageOf(cause)}`, { cause });
  }
  return config;
}

/** Several files as kubectl reads them: those that are there, and of what has one name the first. */
function merged(files: readonly string[]): KubeConfig {
  const there = files.length > 1 ? files.filter((f) => fs.existsSync(f)) : files;
  const [first = loaded(files[0] ?? ''), ...others] = there.map(loaded);
  for (const other of others) {
    const unseen = <T extends { readonly name: string }>(all: readonly T[], known: readonly T[]): readonly T[] =>
      all.filter((o) => !known.some((k) => k.name === o.name));
    first.clusters = [...first.clusters, ...unseen(other.clusters, first.clusters)];
    first.users = [...first.users, ...unseen(other.users, first.users)];
    first.contexts = [...first.contexts, ...unseen(other.contexts, first.contexts)];
    if (!first.getCurrentContext()) first.setCurrentContext(other.getCurrentContext());
  }
  return first;
}

function fromFiles(list: string, context: string | undefined): KubeConfig {
  const files = list.split(path.delimiter).filter((f) => f !== '');
  const config = merged(files);
  if (context !== undefined) config.setCurrentContext(context);
  if (config.getCurrentCluster() === null) {
    const names = config.getContexts().map((c) => c.name);
    const wanted = config.getCurrentContext() || 'no current context';
    throw new UserError('KUBE_CREDENTIALS', `${list}: ${wanted} names no cluster`, {
      hint: names.length === 0 ? 'the file has no contexts' : `its contexts are ${names.join(', ')}`,
    });
  }
  return config;
}

/** How one request reaches the server. */
export interface Endpoint {
  readonly server: URL;
  readonly options: https.RequestOptions;
  /** The agent of the library must be used: it leads through a proxy. */
  readonly viaProxy: boolean;
}

export class Credentials {
  readonly #access: ClusterAccess;
  #config: KubeConfig;
  #readAtMs = 0;

  /** @throws UserError KUBE_CREDENTIALS */
  constructor(access: ClusterAccess) {
    this.#access = access;
    this.#config = this.#load();
  }

  /** For the library's own classes. */
  get config(): KubeConfig {
    return this.#config;
  }

  /** The API server's address, for logs. */
  get server(): string {
    return this.#config.getCurrentCluster()?.server ?? '';
  }

  /** @throws what reading the token or certificates throws */
  async endpoint(): Promise<Endpoint> {
    const cluster = this.#config.getCurrentCluster();
    if (cluster === null) throw new UserError('KUBE_CREDENTIALS', 'the kubeconfig names no cluster');
    const options: https.RequestOptions = {};
    await this.#config.applyToHTTPSOptions(options);
    return { server: new URL(cluster.server), options, viaProxy: cluster.proxyUrl !== undefined };
  }

  /** To be called when the server did not know us: the next request reads everything anew. */
  refused(nowMs: number): void {
    if (nowMs - this.#readAtMs < rereadEveryMs) return;
    this.#readAtMs = nowMs;
    try {
      this.#config = this.#load();
    } catch {
      // A kubeconfig that is being written: what we have may still work, and the next 401 comes here again.
    }
  }

  #load(): KubeConfig {
    const { kubeconfig, context } = this.#access;
    return kubeconfig === undefined ? inCluster() : fromFiles(kubeconfig, context);
  }
}
