/**
 * The two containers and four volumes that injection adds, as plain objects.
 * Invariant: what the API server would default is written out and what it would drop is left out, so that a pod which
 * comes back from it equals what is made here.
 */
import path from 'node:path';
import {
  type AppProbes,
  agentEnv,
  agentUid,
  containers,
  formatAppProbes,
  podPaths,
  ports,
  tokenAudience,
  trustBundleConfigMap,
  volumes,
} from '@chainmail/runtime';
import type { Overrides } from './overrides.ts';
import type { Container, PodSpec } from './pod.ts';
import type { AgentValues } from './values.ts';

/** Kubernetes' own default for a pod that does not say. */
const defaultGraceSeconds = 30;
/** Left of the grace period for the agent to exit by itself. */
const exitSeconds = 1;

/** Of a file in a projected, ConfigMap or downward API volume: 0644. */
const fileMode = 420;

const containerDefaults = { terminationMessagePath: '/dev/termination-log', terminationMessagePolicy: 'File' } as const;

const locked = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  seccompProfile: { type: 'RuntimeDefault' },
} as const;

/** Runs to its end before anything else in the pod, with the right to change the pod's network and no other. */
export function initContainer(values: AgentValues, overrides: Overrides): Container {
  return {
    name: containers.init,
    image: values.image,
    imagePullPolicy: values.imagePullPolicy,
    args: ['init', ...overrides.exclusions, ...overrides.dnsArgs],
    ...resourcesOf(overrides),
    ...containerDefaults,
    securityContext: {
      ...locked,
      runAsNonRoot: false,
      runAsUser: 0,
      runAsGroup: 0,
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] },
    },
  };
}

/** Without native sidecars the kubelet starts the next container when the hook of this one has ended. */
const hold = { lifecycle: { postStart: { exec: { command: ['chainmail-agent', 'wait'] } } } };

/** A native sidecar: ready before the containers behind it start, stopped after the application, no bar to a Job's end. */
export function agentContainer(values: AgentValues, overrides: Overrides, spec: PodSpec, probes: AppProbes): Container {
  const ready = { httpGet: { path: '/ready', port: ports.agentHealth, scheme: 'HTTP' } };
  return {
    name: containers.agent,
    image: values.image,
    imagePullPolicy: values.imagePullPolicy,
    args: ['sidecar'],
    ...(values.nativeSidecar ? { restartPolicy: 'Always' } : hold),
    env: [...downwardEnv(), ...settingsEnv(values, overrides, spec, probes)],
    ...resourcesOf(overrides),
    startupProbe: { ...ready, periodSeconds: 1, timeoutSeconds: 3, successThreshold: 1, failureThreshold: 600 },
    readinessProbe: { ...ready, periodSeconds: 2, timeoutSeconds: 3, successThreshold: 1, failureThreshold: 4 },
    ...containerDefaults,
    securityContext: {
      ...locked,
      runAsNonRoot: true,
      runAsUser: agentUid,
      runAsGroup: agentUid,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: volumes.token, mountPath: path.posix.dirname(podPaths.token), readOnly: true },
      { name: volumes.trustBundle, mountPath: path.posix.dirname(podPaths.trustBundle), readOnly: true },
      { name: volumes.state, mountPath: podPaths.state },
      { name: volumes.podInfo, mountPath: podPaths.podInfo, readOnly: true },
    ],
  };
}

export function meshVolumes(values: AgentValues): readonly { readonly name: string }[] {
  const token = {
    audience: tokenAudience,
    expirationSeconds: values.tokenTtlSeconds,
    path: path.posix.basename(podPaths.token),
  };
  const bundle = { key: trustBundleConfigMap.key, path: path.posix.basename(podPaths.trustBundle) };
  const info = (field: string) => ({ path: field, fieldRef: { apiVersion: 'v1', fieldPath: `metadata.${field}` } });
  return [
    named(volumes.token, { projected: { sources: [{ serviceAccountToken: token }], defaultMode: fileMode } }),
    named(volumes.trustBundle, {
      configMap: { name: trustBundleConfigMap.name, items: [bundle], defaultMode: fileMode },
    }),
    named(volumes.state, { emptyDir: { medium: 'Memory' } }),
    named(volumes.podInfo, { downwardAPI: { items: [info('labels'), info('annotations')], defaultMode: fileMode } }),
  ];
}

function named<T extends object>(name: string, source: T): { readonly name: string } & T {
  return { name, ...source };
}

function resourcesOf({ resources }: Overrides): Pick<Container, 'resources'> {
  return { resources: resources ?? {} };
}

function downwardEnv() {
  const fields = [
    [agentEnv.podName, 'metadata.name'],
    [agentEnv.podNamespace, 'metadata.namespace'],
    [agentEnv.podUid, 'metadata.uid'],
    [agentEnv.podIp, 'status.podIP'],
    [agentEnv.podIps, 'status.podIPs'],
    [agentEnv.nodeName, 'spec.nodeName'],
    [agentEnv.serviceAccount, 'spec.serviceAccountName'],
  ] as const;
  return fields.map(([name, fieldPath]) => ({ name, valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } } }));
}

function settingsEnv(values: AgentValues, overrides: Overrides, spec: PodSpec, probes: AppProbes) {
  const grace = spec.terminationGracePeriodSeconds ?? defaultGraceSeconds;
  const ttl = values.certificateTtlSeconds;
  const settings: readonly (readonly [string, string])[] = [
    [agentEnv.trustDomain, values.trustDomain],
    [agentEnv.controlAddress, values.controlAddress],
    [agentEnv.caAddress, values.caAddress],
    [agentEnv.certificateTtl, ttl === 0 ? '' : String(ttl)],
    [agentEnv.concurrency, overrides.concurrency === 0 ? '' : String(overrides.concurrency)],
    [agentEnv.logLevel, overrides.logLevel],
    [agentEnv.drainSeconds, String(Math.max(0, grace - exitSeconds))],
    [agentEnv.proveInterception, 'true'],
    [agentEnv.exclusions, overrides.exclusions.join(' ')],
    [agentEnv.appProbes, formatAppProbes(probes)],
  ];
  return settings.filter(([, value]) => value !== '').map(([name, value]) => ({ name, value }));
}
