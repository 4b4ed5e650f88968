/**
 * The admission webhooks. failurePolicy Fail, and only where somebody asked for an agent: a namespace with the label
 * (whatever its value, so that a wrong one is refused, not passed by), or a pod with it. `caBundle` is left out: the
 * injector owns that field, and server-side apply leaves it alone.
 */
import { labels, reviewPaths, system } from '@chainmail/runtime';
import { type InstallObject, metaLabels } from './object.ts';
import { webhookConfiguration } from './programs.ts';

interface Requirement {
  readonly key: string;
  readonly operator: 'DoesNotExist' | 'Exists' | 'NotIn';
  readonly values?: readonly string[];
}

const neverHere: Requirement = {
  key: 'kubernetes.io/metadata.name',
  operator: 'NotIn',
  values: ['kube-system', system.namespace],
};

function webhook(name: keyof typeof reviewPaths, namespaces: Requirement, pods: Requirement | undefined): object {
  return {
    name: `${name}.inject.chainmail.dev`,
    admissionReviewVersions: ['v1'],
    clientConfig: {
      service: { namespace: system.namespace, name: system.injectorServiceAccount, path: reviewPaths[name], port: 443 },
    },
    rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], scope: 'Namespaced' }],
    namespaceSelector: { matchExpressions: [namespaces, neverHere] },
    objectSelector: pods === undefined ? {} : { matchExpressions: [pods] },
    sideEffects: 'None',
    reinvocationPolicy: 'IfNeeded',
    matchPolicy: 'Equivalent',
    failurePolicy: 'Fail',
    timeoutSeconds: 5,
  };
}

export function webhooks(): InstallObject {
  const has = { key: labels.inject, operator: 'Exists' } as const;
  const hasNot = { key: labels.inject, operator: 'DoesNotExist' } as const;
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: webhookConfiguration, labels: metaLabels('injector') },
    webhooks: [webhook('namespace', has, undefined), webhook('pod', hasNot, has)],
  };
}
