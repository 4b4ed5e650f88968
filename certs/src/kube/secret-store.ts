/**
 * The CA state in a Secret of its own. Invariant: it is created only where there is none and replaced only in the
 * version it was read in; the API server decides among replicas.
 */
import { isRecord, type KubeObject } from '@chainmail/kube';
import { type ApiClient, isConflict, isNotFound } from '@chainmail/kube/cluster';
import { system, UserError } from '@chainmail/runtime';
import { type CaState, parseState } from '../ca-state.ts';
import type { CaStore, StoredState } from '../store.ts';

export const stateSecret = { name: 'chainmail-ca-state', key: 'state.json' } as const;

const listIn = (namespace: string): string => `/api/v1/namespaces/${namespace}/secrets`;
const pathIn = (namespace: string): string => `${listIn(namespace)}/${stateSecret.name}`;

function secretOf(state: CaState, namespace: string, resourceVersion?: string): object {
  const version = resourceVersion === undefined ? {} : { resourceVersion };
  const labels = { 'app.kubernetes.io/part-of': 'chainmail', 'app.kubernetes.io/component': 'ca' };
  const text = Buffer.from(JSON.stringify(state)).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'chainmail.dev/ca-state',
    metadata: { name: stateSecret.name, namespace, labels, ...version },
    data: { [stateSecret.key]: text },
  };
}

function stateOf(secret: KubeObject): CaState {
  const where = `Secret ${secret.metadata.namespace}/${stateSecret.name}`;
  const data = (secret as { data?: unknown }).data;
  const text = isRecord(data) ? data[stateSecret.key] : undefined;
  if (typeof text !== 'string') {
    throw new UserError('CA_STATE_INVALID', `${where}: the key ${stateSecret.key} is missing`, {
      hint: 'restore it from a backup; it holds the root key',
    });
  }
  return parseState(Buffer.from(text, 'base64').toString('utf8'), where);
}

export class SecretStore implements CaStore {
  readonly #client: Pick<ApiClient, 'get' | 'create' | 'replace'>;
  readonly #namespace: string;

  /** @param namespace where the Secret is; the mesh's own by default */
  constructor(client: Pick<ApiClient, 'get' | 'create' | 'replace'>, namespace: string = system.namespace) {
    this.#client = client;
    this.#namespace = namespace;
  }

  async load(): Promise<StoredState | undefined> {
    const secret = await this.#client.get(pathIn(this.#namespace));
    if (secret === undefined) return undefined;
    const { uid = '', resourceVersion = '' } = secret.metadata;
    return { state: stateOf(secret), revision: `${uid} ${resourceVersion}` };
  }

  create(state: CaState): Promise<boolean> {
    return this.#decided(() => this.#client.create(listIn(this.#namespace), secretOf(state, this.#namespace)));
  }

  replace(state: CaState, revision: string): Promise<boolean> {
    const [, resourceVersion = ''] = revision.split(' ');
    if (resourceVersion === '') return Promise.resolve(false);
    return this.#decided(() =>
      this.#client.replace(pathIn(this.#namespace), secretOf(state, this.#namespace, resourceVersion)),
    );
  }

  /** False when somebody else was first, or the Secret is gone. */
  async #decided(write: () => Promise<unknown>): Promise<boolean> {
    try {
      await write();
      return true;
    } catch (error) {
      if (isConflict(error) || isNotFound(error)) return false;
      throw error;
    }
  }
}
