/** What one program needs to run: ServiceAccount, Service, Deployment, PodDisruptionBudget. Pod Security `restricted`. */
import { createHash } from 'node:crypto';
import { system } from '@chainmail/runtime';
import { type InstallObject, metaLabels } from './object.ts';
import type { Program } from './programs.ts';
import { type InstallValues, imageOf } from './values.ts';

/** Any uid that is not root; the images' own. */
const uid = 65532;

const nameLabel = 'app.kubernetes.io/name';
export const podSelector = (p: Program): Readonly<Record<string, string>> => ({ [nameLabel]: p.fullName });

const meta = (p: Program): InstallObject['metadata'] => ({
  name: p.fullName,
  namespace: system.namespace,
  labels: { ...metaLabels(p.name), ...podSelector(p) },
});

function serviceAccount(p: Program): InstallObject {
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta(p), automountServiceAccountToken: false };
}

function service(p: Program): InstallObject {
  const { name, servicePort, appProtocol } = p.serving;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: meta(p),
    spec: {
      selector: podSelector(p),
      ports: [{ name, port: servicePort, targetPort: name, protocol: 'TCP', appProtocol }],
    },
  };
}

function disruptionBudget(p: Program): InstallObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: meta(p),
    spec: { maxUnavailable: 1, selector: { matchLabels: podSelector(p) } },
  };
}

const probe = (p: Program, path: string, rest: object): object => ({
  httpGet: { path, port: p.metrics.name, scheme: 'HTTP' },
  timeoutSeconds: 3,
  ...rest,
});

function container(p: Program, values: InstallValues): object {
  const field = (name: string, fieldPath: string): object => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  const both = [p.serving, ...(p.metrics.port === p.serving.port ? [] : [p.metrics])];
  return {
    name: p.name,
    image: imageOf(values, p.name),
    imagePullPolicy: values.image.pullPolicy,
    args: p.args,
    env: [field('POD_NAME', 'metadata.name'), field('POD_NAMESPACE', 'metadata.namespace')],
    ports: both.map(({ name, port }) => ({ name, containerPort: port, protocol: 'TCP' })),
    startupProbe: probe(p, '/livez', { periodSeconds: 1, failureThreshold: 60 }),
    livenessProbe: probe(p, '/livez', { periodSeconds: 10, failureThreshold: 3 }),
    readinessProbe: probe(p, '/ready', { periodSeconds: 2, failureThreshold: 2 }),
    resources: values[p.name].resources,
    securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
    volumeMounts: p.mounts.map((m) => ({ name: m.name, mountPath: m.path, readOnly: true })),
  };
}

/** Two replicas on one node would fall with it: spread by node, and by zone where there are any. */
function spread(p: Program): object[] {
  return ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'].map((topologyKey) => ({
    maxSkew: 1,
    topologyKey,
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: podSelector(p) },
  }));
}

function affinity(p: Program): object {
  const term = { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: podSelector(p) } };
  return {
    podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: term }] },
  };
}

/**
 * The service account's own token, mounted by name: automatic mounting stays off, so that a pod somebody else starts
 * under this account does not get one.
 */
const apiAccess = {
  name: 'api-access',
  projected: {
    defaultMode: 0o444,
    sources: [
      { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      {
        downwardAPI: {
          items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
        },
      },
    ],
  },
} as const;

const apiAccessPath = '/var/run/secrets/kubernetes.io/serviceaccount';

function podSpec(p: Program, values: InstallValues): object {
  const { nodeSelector, tolerations, priorityClassName } = values[p.name];
  const main = container(p, values) as { readonly volumeMounts: readonly object[] };
  const access = { name: apiAccess.name, mountPath: apiAccessPath, readOnly: true };
  return {
    serviceAccountName: p.fullName,
    automountServiceAccountToken: false,
    // Passed on as they are, empty ones too: an API server drops those, and the Helm chart comes of the same rendering.
    imagePullSecrets: values.image.pullSecrets,
    priorityClassName,
    nodeSelector,
    tolerations,
    terminationGracePeriodSeconds: 30,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: uid,
      runAsGroup: uid,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    affinity: affinity(p),
    topologySpreadConstraints: spread(p),
    containers: [{ ...main, volumeMounts: [access, ...main.volumeMounts] }],
    volumes: [apiAccess, ...p.mounts.map((m) => ({ name: m.name, ...m.source }))],
  };
}

export const settingsAnnotation = 'chainmail.dev/settings';

/** A pod that read its settings once at its start is replaced when they change. */
export const settingsHash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

function deployment(p: Program, values: InstallValues, settings: string | undefined): InstallObject {
  const annotations = settings === undefined ? {} : { annotations: { [settingsAnnotation]: settingsHash(settings) } };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: meta(p),
    spec: {
      replicas: values[p.name].replicas,
      revisionHistoryLimit: 3,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      selector: { matchLabels: podSelector(p) },
      template: {
        metadata: { labels: { ...metaLabels(p.name), ...podSelector(p) }, ...annotations },
        spec: podSpec(p, values),
      },
    },
  };
}

/** @param settings the text of the program's settings file, when it has one */
export function workload(p: Program, values: InstallValues, settings?: string): readonly InstallObject[] {
  return [serviceAccount(p), service(p), deployment(p, values, settings), disruptionBudget(p)];
}
