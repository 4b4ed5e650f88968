/** Whether a pod gets an agent. The first rule that matches decides; an invalid value is refused, never passed by. */
import { annotations, labels, system } from '@chainmail/runtime';
import type { Namespace, Pod } from './pod.ts';

export type Decision =
  | { readonly kind: 'inject'; readonly reason: string }
  /** `impossible`: not by anybody's wish. */
  | { readonly kind: 'skip'; readonly reason: string; readonly impossible?: true }
  | { readonly kind: 'deny'; readonly reason: string };

const mirrorAnnotation = 'kubernetes.io/config.mirror';

/** @param systemNamespace where the mesh's own processes run */
export function decide(pod: Pod, namespace: Namespace, systemNamespace: string = system.namespace): Decision {
  const impossible = whyNever(pod, namespace.name, systemNamespace);
  if (impossible !== undefined) return { kind: 'skip', reason: impossible, impossible: true };
  const podSays =
    wish(pod.metadata?.labels?.[labels.inject], `pod label ${labels.inject}`) ??
    wish(pod.metadata?.annotations?.[annotations.inject], `pod annotation ${annotations.inject}`);
  return podSays ?? namespaceSays(namespace);
}

function namespaceSays({ name, labels: all }: Namespace): Decision {
  if (all === undefined) {
    return { kind: 'deny', reason: `namespace ${name} is not known to the injector; create it before its pods` };
  }
  const reason = `neither the pod nor namespace ${name} has the label ${labels.inject}`;
  return wish(all[labels.inject], `label ${labels.inject} of namespace ${name}`) ?? { kind: 'skip', reason };
}

function whyNever(pod: Pod, namespace: string, systemNamespace: string): string | undefined {
  const { spec, metadata } = pod;
  if (spec.hostNetwork === true) return 'hostNetwork: the rules would take over the traffic of the whole node';
  if (spec.os?.name === 'windows' || spec.nodeSelector?.['kubernetes.io/os'] === 'windows') {
    return 'a Windows pod: interception needs Linux';
  }
  if (metadata?.annotations?.[mirrorAnnotation] !== undefined) return 'a mirror pod: the kubelet owns it';
  if (namespace === 'kube-system' || namespace === systemNamespace) return `namespace ${namespace} is never meshed`;
  return undefined;
}

function wish(value: string | undefined, source: string): Decision | undefined {
  switch (value) {
    case undefined:
      return undefined;
    case 'enabled':
      return { kind: 'inject', reason: `${source} is enabled` };
    case 'disabled':
      return { kind: 'skip', reason: `${source} is disabled` };
    default:
      return { kind: 'deny', reason: `${source} is '${value}': write 'enabled' or 'disabled'` };
  }
}
