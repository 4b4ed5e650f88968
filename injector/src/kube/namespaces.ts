/** Labels of namespaces from an API server. */
import { type ApiClient, Reflector } from '@chainmail/kube/cluster';
import { type Clock, type Logger, labels, messageOf } from '@chainmail/runtime';
import type { NamespaceSource } from '../namespaces.ts';
import type { Namespace } from '../pod.ts';

export interface KubeNamespaces extends NamespaceSource {
  readonly synced: () => boolean;
  /** To be awaited before a decision about a namespace. */
  readonly prepare: (name: string, hasNoLabel: boolean) => Promise<void>;
}

const path = '/api/v1/namespaces';

/**
 * Invariant: no pod is passed by because its namespace was labelled a moment ago. The API server that calls us has seen
 * the label; when the mirror has not, the server is asked.
 */
export function namespacesOfServer(
  client: Pick<ApiClient, 'list' | 'watch'>,
  clock: Clock,
  log: Logger,
): KubeNamespaces {
  const reflector = new Reflector<Namespace>({
    ...{ client, clock, log, path },
    project: ({ metadata }) => ({ name: metadata.name ?? '', labels: metadata.labels ?? {} }),
    onChange: () => {},
  });
  reflector.start();
  /** Answers that are ahead of the mirror; one for each review under way. */
  const ahead = new Map<string, Namespace>();
  const ask = async (name: string): Promise<Namespace | undefined> => {
    const { items } = await client.list(path, { fieldSelector: `metadata.name=${name}` });
    const found = items?.find((n) => n.metadata.name === name);
    return found && { name, labels: found.metadata.labels ?? {} };
  };
  return {
    find: (name) => ahead.get(name) ?? reflector.get(name),
    synced: () => reflector.synced,
    prepare: async (name, hasNoLabel) => {
      ahead.delete(name);
      const mirrored = reflector.get(name);
      if (mirrored !== undefined && (hasNoLabel || mirrored.labels?.[labels.inject] !== undefined)) return;
      try {
        const found = await ask(name);
        if (found !== undefined) ahead.set(name, found);
      } catch (error) {
        log.warn({ namespace: name, reason: messageOf(error) }, 'could not look a namespace up; its last labels count');
      }
    },
    close: () => reflector.stop(),
  };
}
