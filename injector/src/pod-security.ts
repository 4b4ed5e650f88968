/** A warning where the namespace's Pod Security level will not admit mesh-init, which needs NET_ADMIN. */
import { containers } from '@chainmail/runtime';
import type { Namespace } from './pod.ts';

const enforceLabel = 'pod-security.kubernetes.io/enforce';

export function podSecurityWarnings(namespace: Namespace): readonly string[] {
  const level = namespace.labels?.[enforceLabel];
  if (level !== 'baseline' && level !== 'restricted') return [];
  return [
    `namespace ${namespace.name} enforces Pod Security '${level}', which does not admit ${containers.init}: ` +
      `it needs NET_ADMIN. Set ${enforceLabel}=privileged on the namespace`,
  ];
}
