/** GET /config_dump in Envoy's shape: the bootstrap, then what is live of each type, without secrets. */

import { X509Certificate } from 'node:crypto';
import { type DescMessage, fromBinary, type Message, toJson } from '@bufbuild/protobuf';
import { typeNameOf } from '@chainmail/xds';
import type { Bootstrap } from '@chainmail/xds/proto/envoy/config/bootstrap/v3/bootstrap';
import { registry } from '@chainmail/xds/registry';
import type { SecretSpec } from '../model/tls.ts';
import type { LiveConfig } from '../xds/live-config.ts';
import { type ResourceKind, resourceTypes } from '../xds/resource-types.ts';
import type { Entry } from '../xds/slot.ts';
import { type AdminResponse, json, text } from './command.ts';
import { type Json, redact } from './redact.ts';

export interface DumpSources {
  readonly bootstrap: Bootstrap;
  readonly startedMs: number;
  readonly live: LiveConfig;
  /** system_version_info of the last update of a type. */
  readonly version: (kind: ResourceKind) => string;
}

const dumpType = (name: string): string => `type.googleapis.com/envoy.admin.v3.${name}`;
const iso = (ms: number): string => new Date(ms).toISOString();

export function configDump(sources: DumpSources, query: URLSearchParams): AdminResponse {
  for (const name of query.keys()) {
    if (name !== 'resource' && name !== 'include_eds') return text(`${name} is not implemented\n`, 400);
  }
  const withEndpoints = query.has('include_eds') || query.get('resource')?.endsWith('endpoint_configs') === true;
  const configs = [
    bootstrapDump(sources),
    clustersDump(sources),
    ...(withEndpoints ? [endpointsDump(sources)] : []),
    listenersDump(sources),
    routesDump(sources),
    secretsDump(sources),
  ];
  const resource = query.get('resource');
  if (resource === null) return json({ configs });
  const found = configs.find((c) => Array.isArray(c[resource]) && resource !== '@type');
  if (found === undefined) return text(`${resource} not found in config dump`, 404);
  const inner = (found[resource] as readonly Json[]).map((item) => ({
    '@type': `${String(found['@type'])}.${itemTypes[resource] ?? ''}`,
    ...(item as object),
  }));
  return json({ configs: inner });
}

const itemTypes: Readonly<Record<string, string>> = {
  static_clusters: 'StaticCluster',
  dynamic_active_clusters: 'DynamicCluster',
  dynamic_warming_clusters: 'DynamicCluster',
  static_listeners: 'StaticListener',
  dynamic_listeners: 'DynamicListener',
  static_route_configs: 'StaticRouteConfig',
  dynamic_route_configs: 'DynamicRouteConfig',
  dynamic_endpoint_configs: 'DynamicEndpointConfig',
  static_secrets: 'StaticSecret',
  dynamic_active_secrets: 'DynamicSecret',
};

type Dump = Readonly<Record<string, Json>>;

function bootstrapDump({ bootstrap, startedMs }: DumpSources): Dump {
  return {
    '@type': dumpType('BootstrapConfigDump'),
    bootstrap: messageJson(bootstrap),
    last_updated: iso(startedMs),
  };
}

function clustersDump({ bootstrap, startedMs, live, version }: DumpSources): Dump {
  const slots = [...live.clusters.values()].filter((slot) => !slot.isStatic);
  return {
    '@type': dumpType('ClustersConfigDump'),
    version_info: version('cds'),
    static_clusters: (bootstrap.staticResources?.clusters ?? []).map((c) => ({
      cluster: typed(resourceTypes.cds, messageJson(c)),
      last_updated: iso(startedMs),
    })),
    dynamic_active_clusters: slots.flatMap((s) => (s.active === null ? [] : [dynamic('cds', 'cluster', s.active)])),
    dynamic_warming_clusters: slots.flatMap((s) => (s.warming === null ? [] : [dynamic('cds', 'cluster', s.warming)])),
  };
}

function endpointsDump({ live }: DumpSources): Dump {
  return {
    '@type': dumpType('EndpointsConfigDump'),
    dynamic_endpoint_configs: [...live.assignments.values()].map((e) => dynamic('eds', 'endpoint_config', e)),
  };
}

function listenersDump({ bootstrap, startedMs, live, version }: DumpSources): Dump {
  const slots = [...live.listeners].filter(([, slot]) => !slot.isStatic);
  return {
    '@type': dumpType('ListenersConfigDump'),
    version_info: version('lds'),
    static_listeners: (bootstrap.staticResources?.listeners ?? []).map((l) => ({
      listener: typed(resourceTypes.lds, messageJson(l)),
      last_updated: iso(startedMs),
    })),
    dynamic_listeners: slots.map(([name, slot]) => ({
      name,
      ...(slot.active === null ? {} : { active_state: dynamic('lds', 'listener', slot.active) }),
      ...(slot.warming === null ? {} : { warming_state: dynamic('lds', 'listener', slot.warming) }),
    })),
  };
}

function routesDump({ live }: DumpSources): Dump {
  return {
    '@type': dumpType('RoutesConfigDump'),
    dynamic_route_configs: [...live.routes.values()].map((e) => dynamic('rds', 'route_config', e)),
  };
}

/** Public certificates as they are, keys never. */
function secretsDump({ live, startedMs }: DumpSources): Dump {
  return {
    '@type': dumpType('SecretsConfigDump'),
    dynamic_active_secrets: [...live.held.secrets.values()].map((secret) => ({
      name: secret.name,
      last_updated: iso(lastUpdate(secret) ?? startedMs),
      secret: {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
        name: secret.name,
        ...secretJson(secret),
      },
    })),
  };
}

function secretJson(secret: SecretSpec): Dump {
  if (secret.kind === 'trust') return { validation_context: { trusted_ca: { inline_string: secret.bundlePem } } };
  return {
    tls_certificate: {
      certificate_chain: { inline_string: secret.chainPem },
      private_key: { inline_string: '[redacted]' },
    },
  };
}

/** A certificate is in use from about its notBefore on; we keep no better date. */
function lastUpdate(secret: SecretSpec): number | undefined {
  if (secret.kind !== 'certificate' || secret.chainPem === '') return undefined;
  return Date.parse(new X509Certificate(secret.chainPem).validFrom);
}

function dynamic(kind: ResourceKind, field: string, entry: Entry<unknown>): Dump {
  const schema = schemaOf(typeNameOf(resourceTypes[kind]));
  return {
    version_info: entry.version,
    [field]: typed(resourceTypes[kind], messageJson(fromBinary(schema, entry.raw))),
    last_updated: iso(entry.updatedMs),
  };
}

function typed(typeUrl: string, value: Json): Json {
  return { '@type': typeUrl, ...(value as object) };
}

export function messageJson(message: Message): Json {
  const schema = schemaOf(message.$typeName);
  return redact(schema, toJson(schema, message, { registry, useProtoFieldName: true }) as Json);
}

function schemaOf(typeName: string): DescMessage {
  const schema = registry.getMessage(typeName);
  if (schema === undefined) throw new Error(`no descriptor of ${typeName}`);
  return schema;
}
