/** The three programs: command lines, ports and mounts, as docs/kubernetes-components.md asks for them. */
import path from 'node:path';
import { podPaths, ports, system, tokenAudience, trustBundleConfigMap } from '@chainmail/runtime';
import type { InstallValues } from './values.ts';

export type ProgramName = 'ca' | 'control' | 'injector';
export const programNames: readonly ProgramName[] = ['ca', 'control', 'injector'];

/** Not among the well-known ports: nobody but the kubelet and Prometheus asks for it. */
const caMetricsPort = 15016;

export const injectorValuesPath = '/etc/chainmail/values.yaml';
export const injectorConfigMap = 'chainmail-injector';
export const webhookConfiguration = 'chainmail-injector';

export interface NamedPort {
  readonly name: string;
  readonly port: number;
}

export interface Program {
  readonly name: ProgramName;
  /** Deployment, Service, ServiceAccount, and the label its pods are selected by. */
  readonly fullName: string;
  readonly args: readonly string[];
  readonly serving: NamedPort & { readonly servicePort: number; readonly appProtocol: string };
  /** Where probes and metrics are; the serving port itself for the injector. */
  readonly metrics: NamedPort;
  readonly mounts: readonly Mount[];
}

export interface Mount {
  readonly name: string;
  readonly path: string;
  readonly source: Readonly<Record<string, unknown>>;
}

const token: Mount = {
  name: 'token',
  path: path.posix.dirname(podPaths.token),
  source: {
    projected: {
      defaultMode: 0o444,
      sources: [
        {
          serviceAccountToken: {
            audience: tokenAudience,
            expirationSeconds: 3600,
            path: path.posix.basename(podPaths.token),
          },
        },
      ],
    },
  },
};

const bundle: Mount = {
  name: 'bundle',
  path: path.posix.dirname(podPaths.trustBundle),
  source: {
    configMap: {
      name: trustBundleConfigMap.name,
      items: [{ key: trustBundleConfigMap.key, path: path.posix.basename(podPaths.trustBundle) }],
    },
  },
};

const settings: Mount = {
  name: 'values',
  path: path.posix.dirname(injectorValuesPath),
  source: { configMap: { name: injectorConfigMap } },
};

const any = (port: number): string => `0.0.0.0:${port}`;
const ownIdentity = [
  ...['--ca', `${system.caServiceAccount}.${system.namespace}.svc:${ports.ca}`],
  ...['--token-file', podPaths.token, '--trust-bundle', podPaths.trustBundle],
] as const;

export function programs(values: InstallValues): readonly Program[] {
  const level = (name: ProgramName): readonly string[] => ['--log-level', values[name].logLevel];
  const trustDomain = ['--trust-domain', values.trustDomain];
  return [
    {
      name: 'ca',
      fullName: system.caServiceAccount,
      args: [
        ...['--kubernetes', ...trustDomain, '--listen', any(ports.ca), '--metrics-listen', any(caMetricsPort)],
        ...['--default-ttl', values.ca.defaultTtl, '--max-ttl', values.ca.maxTtl, ...level('ca')],
      ],
      serving: { name: 'grpc-csr', port: ports.ca, servicePort: ports.ca, appProtocol: 'grpc' },
      metrics: { name: 'metrics', port: caMetricsPort },
      mounts: [],
    },
    {
      name: 'control',
      fullName: system.controlServiceAccount,
      args: [
        ...['--kubernetes', ...trustDomain, '--listen', any(ports.control)],
        ...['--metrics-listen', any(ports.controlMetrics), ...ownIdentity, ...level('control')],
      ],
      serving: { name: 'grpc-xds', port: ports.control, servicePort: ports.control, appProtocol: 'grpc' },
      metrics: { name: 'metrics', port: ports.controlMetrics },
      mounts: [token, bundle],
    },
    {
      name: 'injector',
      fullName: system.injectorServiceAccount,
      args: [
        ...['--kubernetes', '--listen', any(ports.injector), '--values', injectorValuesPath, ...ownIdentity],
        ...['--webhook-configuration', webhookConfiguration, ...level('injector')],
      ],
      serving: { name: 'https-webhook', port: ports.injector, servicePort: 443, appProtocol: 'https' },
      metrics: { name: 'https-webhook', port: ports.injector },
      mounts: [token, bundle, settings],
    },
  ];
}
