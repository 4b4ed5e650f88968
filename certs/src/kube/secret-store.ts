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

const list = `/api/v1/namespaces/${system.namespace}/secrets`;
const path = `${list}/${stateSecret.name}`;
const where = `Secret ${system.namespace}/${stateSecret.name}`;

function secretOf(state: CaState, resourceVersion?: string): object {
  const version = resourceVersion === undefined ? {} : { resourceVersion };
  const labels = { 'app.kubernetes.io/part-of': 'chainmail', 'app.kubernetes.io/component': 'ca' };
  const text = Buffer.from(JSON.stringify(state)).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'chainmail.dev/ca-state',
    metadata: { name: stateSecret.name, namespace: system.namespace, labels, ...version },
    data: { [stateSecret.key]: text },
  };
}

function stateOf(secret: KubeObject): CaState {
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

  constructor(client: Pick<ApiClient, 'get' | 'create' | 'replace'>) {
    this.#client = client;
  }

  async load(): Promise<StoredState | undefined> {
    const secret = await this.#client.get(path);
    if (secret === undefined) return undefined;
    const { uid = '', resourceVersion = '' } = secret.metadata;
    return { state: stateOf(secret), revision: `${uid} ${resourceVersion}` };
  }

  create(state: CaState): Promise<boolean> {
    return this.#decided(() => this.#client.create(list, secretOf(state)));
  }

  replace(state: CaState, revision: string): Promise<boolean> {
    const [, resourceVersion = ''] = revision.split(' ');
    if (resourceVersion === '') return Promise.resolve(false);
    return this.#decided(() => this.#client.replace(path, secretOf(state, resourceVersion)));
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
