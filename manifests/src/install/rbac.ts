/**
 * Rights of the three programs, no wider than docs/kubernetes-components.md says. Invariant: no wildcard anywhere, and
 * Secrets only in chainmail-system, by name (a create cannot be held to a name).
 */
import { kinds } from '@chainmail/kube';
import { apiGroup, system, trustBundleConfigMap } from '@chainmail/runtime';
import { ourPlurals } from '../crds/crd.ts';
import { type InstallObject, metaLabels } from './object.ts';
import { type ProgramName, webhookConfiguration } from './programs.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

const rule = (group: string, resources: readonly string[], verbs: readonly string[], name?: string): Rule => ({
  apiGroups: [group],
  resources,
  ...(name === undefined ? {} : { resourceNames: [name] }),
  verbs,
});

const read = ['list', 'watch'] as const;

const routes = Object.keys(kinds)
  .filter((k) => kinds[k as keyof typeof kinds].group === 'gateway.networking.k8s.io')
  .map((k) => `${k.toLowerCase()}s`);

const status = (plurals: readonly string[]): readonly string[] => plurals.map((p) => `${p}/status`);

const clusterRules: Readonly<Record<ProgramName, readonly Rule[]>> = {
  ca: [
    rule('authentication.k8s.io', ['tokenreviews'], ['create']),
    rule('', ['namespaces'], read),
    rule('', ['pods'], ['get', ...read]),
    rule('', ['configmaps'], ['create']),
    rule('', ['configmaps'], ['get', ...read, 'patch'], trustBundleConfigMap.name),
  ],
  control: [
    rule('', ['namespaces', 'pods', 'services'], read),
    rule('discovery.k8s.io', ['endpointslices'], read),
    rule('gateway.networking.k8s.io', routes, read),
    rule('gateway.networking.k8s.io', status(routes), ['patch']),
    rule(apiGroup, ourPlurals, read),
    rule(apiGroup, status(ourPlurals), ['patch']),
  ],
  injector: [
    rule('', ['namespaces'], read),
    rule('', ['events'], ['create']),
    rule(
      'admissionregistration.k8s.io',
      ['mutatingwebhookconfigurations'],
      ['get', ...read, 'patch'],
      webhookConfiguration,
    ),
  ],
};

const ownNamespaceRules: Readonly<Record<ProgramName, readonly Rule[]>> = {
  ca: [
    rule('', ['secrets'], ['create']),
    rule('', ['secrets'], ['get', 'update'], 'chainmail-ca-state'),
    rule('', ['configmaps'], ['get', 'update'], 'chainmail-ca-audit'),
  ],
  control: [
    rule('coordination.k8s.io', ['leases'], ['create']),
    rule('coordination.k8s.io', ['leases'], ['get', 'update'], 'chainmail-control'),
    rule('', ['configmaps'], ['create']),
    rule('', ['configmaps'], [...read, 'patch'], 'chainmail-control-agents'),
  ],
  injector: [],
};

function pair(
  kind: 'ClusterRole' | 'Role',
  part: ProgramName,
  name: string,
  rules: readonly Rule[],
): readonly InstallObject[] {
  if (rules.length === 0) return [];
  const metadata = {
    name,
    ...(kind === 'Role' ? { namespace: system.namespace } : {}),
    labels: metaLabels(part),
  };
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  return [
    { apiVersion, kind, metadata, rules },
    {
      apiVersion,
      kind: `${kind}Binding`,
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: system.namespace }],
    },
  ];
}

export function programRights(part: ProgramName, account: string): readonly InstallObject[] {
  return [
    ...pair('ClusterRole', part, account, clusterRules[part]),
    ...pair('Role', part, account, ownNamespaceRules[part]),
  ];
}

/** Who may read everything of a namespace may read its policies, and its admins may write them; editors may not. */
export function userRights(): readonly InstallObject[] {
  const role = (name: string, to: 'admin' | 'view', verbs: readonly string[]): InstallObject => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: {
      name: `chainmail-${name}`,
      labels: { ...metaLabels('base'), [`rbac.authorization.k8s.io/aggregate-to-${to}`]: 'true' },
    },
    rules: [rule(apiGroup, ourPlurals, verbs)],
  });
  return [
    role('policy-viewer', 'view', ['get', 'list', 'watch']),
    role('policy-admin', 'admin', ['create', 'update', 'patch', 'delete', 'deletecollection']),
  ];
}
