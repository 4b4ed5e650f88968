/** Where the labels of a namespace come from: an admission request does not carry them. */
import { type Loaded, readObjects, watchObjects } from '@chainmail/kube';
import { labels } from '@chainmail/runtime';
import type { Namespace } from './pod.ts';

export interface NamespaceSource {
  readonly find: (name: string) => Namespace | undefined;
  readonly close: () => void;
}

/**
 * Without a source of labels every namespace counts as enabled: the webhook's namespaceSelector in the API server
 * sends only pods of labelled namespaces here.
 */
export const selectedByServer: NamespaceSource = {
  find: (name) => ({ name, labels: { [labels.inject]: 'enabled' } }),
  close: () => {},
};

/** Namespaces from a folder of objects, watched. A namespace that just appeared is found by reading once more. */
export function namespacesInFolder(dir: string): NamespaceSource {
  let known = new Map<string, Namespace>();
  const take = (loaded: Loaded): void => {
    known = namespacesOf(loaded);
  };
  const watch = watchObjects([dir], take);
  const findAgain = (name: string): Namespace | undefined => {
    take(readObjects([dir]));
    return known.get(name);
  };
  return { find: (name) => known.get(name) ?? findAgain(name), close: () => watch.close() };
}

function namespacesOf({ objects }: Loaded): Map<string, Namespace> {
  return new Map(
    objects
      .filter(({ object }) => object.kind === 'Namespace' && object.apiVersion === 'v1')
      .map(({ object: { metadata } }): [string, Namespace] => {
        const name = metadata.name ?? '';
        return [name, { name, labels: metadata.labels ?? {} }];
      }),
  );
}
