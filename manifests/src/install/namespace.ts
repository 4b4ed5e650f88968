/** The namespace of the mesh's own programs. Pod Security holds them to `restricted`; they are never injected. */
import { labels, system } from '@chainmail/runtime';
import { type InstallObject, metaLabels } from './object.ts';

const level = 'restricted';

export function systemNamespace(): InstallObject {
  const modes = ['enforce', 'audit', 'warn'].map((mode) => [`pod-security.kubernetes.io/${mode}`, level] as const);
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name: system.namespace,
      labels: { ...metaLabels('base'), [labels.inject]: 'disabled', ...Object.fromEntries(modes) },
    },
  };
}
