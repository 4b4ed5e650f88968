/** An installation as objects, from values alone, in the order in which they must be applied. Pure. */
import { ports, system } from '@chainmail/runtime';
import { stringify } from 'yaml';
import { customResourceDefinitions } from '../crds/crd.ts';
import { systemNamespace } from './namespace.ts';
import { networkPolicies } from './network-policies.ts';
import { type InstallObject, metaLabels } from './object.ts';
import { injectorConfigMap, programs } from './programs.ts';
import { programRights, userRights } from './rbac.ts';
import { type InstallValues, imageOf, meshVersion, valuesBeyondDefaults } from './values.ts';
import { webhooks } from './webhook.ts';
import { workload } from './workload.ts';

/** Where an installation keeps what it was made from beyond the defaults: `meshctl upgrade` begins with it. */
export const installRecord = { name: 'chainmail-install', valuesKey: 'values.yaml', versionKey: 'version' } as const;

function configMap(name: string, part: 'base' | 'injector', data: Readonly<Record<string, string>>): InstallObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: system.namespace, labels: metaLabels(part) },
    data,
  };
}

/** Names in order, as Helm's toJson has them. */
function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((n) => [n, sorted((value as Readonly<Record<string, unknown>>)[n])]));
}

/**
 * What the injector puts into pods, in the fields of its own values file: a line of JSON each, which is YAML, so that
 * the chart's text is the same to the byte and with it the hash by which the injector's pods are replaced.
 */
export function injectorSettings(values: InstallValues): string {
  const { image: _, ...agent } = values.agent;
  const at = (account: string, port: number): string => `${account}.${system.namespace}.svc:${port}`;
  const settings = {
    image: imageOf(values, 'agent'),
    imagePullPolicy: values.image.pullPolicy,
    trustDomain: values.trustDomain,
    controlAddress: at(system.controlServiceAccount, ports.control),
    caAddress: at(system.caServiceAccount, ports.ca),
    ...agent,
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name}: ${JSON.stringify(sorted(value))}\n`)
    .join('');
}

export function renderInstall(values: InstallValues): readonly InstallObject[] {
  const all = programs(values);
  const settings = injectorSettings(values);
  const record = {
    [installRecord.versionKey]: meshVersion,
    [installRecord.valuesKey]: stringify(valuesBeyondDefaults(values), { aliasDuplicateObjects: false }),
  };
  return [
    systemNamespace(),
    ...customResourceDefinitions(),
    configMap(installRecord.name, 'base', record),
    ...userRights(),
    ...all.flatMap((p) => programRights(p.name, p.fullName)),
    ...networkPolicies(all, values),
    configMap(injectorConfigMap, 'injector', { 'values.yaml': settings }),
    ...all.flatMap((p) => workload(p, values, p.name === 'injector' ? settings : undefined)),
    webhooks(), // last: from here on pods of labelled namespaces wait for the injector
  ];
}
