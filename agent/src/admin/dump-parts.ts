/** The parts of GET /config_dump in Envoy's shape: the bootstrap, then what is live of each type, without secrets. */

import { X509Certificate } from 'node:crypto';
import { fromBinary, type Message } from '@bufbuild/protobuf';
import { typeNameOf } from '@chainmail/xds';
import type { Bootstrap } from '@chainmail/xds/proto/envoy/config/bootstrap/v3/bootstrap';
import { lateProtobuf, messageNamed, registry } from '@chainmail/xds/registry';
import type { SecretSpec } from '../model/tls.ts';
import type { LiveConfig } from '../xds/live-config.ts';
import { type ResourceKind, resourceTypes } from '../xds/resource-types.ts';
import type { Entry } from '../xds/slot.ts';
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

/** Whether a resource of this name is asked for. */
export type Wanted = (name: string) => boolean;

export type Dump = Readonly<Record<string, Json>>;

/** In Envoy's order. */
export function dumpParts(sources: DumpSources, wanted: Wanted, withEndpoints: boolean): readonly Dump[] {
  const dumps = [
    bootstrapDump(sources),
    clustersDump(sources, wanted),
    ...(withEndpoints ? [endpointsDump(sources, wanted)] : []),
    listenersDump(sources, wanted),
    routesDump(sources, wanted),
    secretsDump(sources, wanted),
  ];
  return dumps.map((dump) => Object.fromEntries(Object.entries(dump).filter(([, value]) => !isEmpty(value))));
}

/** What a proto does not print. */
const isEmpty = (value: Json): boolean => value === '' || (Array.isArray(value) && value.length === 0);

function bootstrapDump({ bootstrap, startedMs }: DumpSources): Dump {
  return {
    '@type': dumpType('BootstrapConfigDump'),
    bootstrap: messageJson(bootstrap),
    last_updated: iso(startedMs),
  };
}

function clustersDump({ bootstrap, startedMs, live, version }: DumpSources, wanted: Wanted): Dump {
  const slots = [...live.resources.clusters]
    .filter(([name, slot]) => !slot.isStatic && wanted(name))
    .map(([, slot]) => slot);
  const own = (bootstrap.staticResources?.clusters ?? []).filter((c) => wanted(c.name));
  return {
    '@type': dumpType('ClustersConfigDump'),
    version_info: version('cds'),
    static_clusters: own.map((c) => ({
      cluster: typed(resourceTypes.cds, messageJson(c)),
      last_updated: iso(startedMs),
    })),
    dynamic_active_clusters: slots.flatMap((s) => (s.active === null ? [] : [dynamic('cds', 'cluster', s.active)])),
    dynamic_warming_clusters: slots.flatMap((s) => (s.warming === null ? [] : [dynamic('cds', 'cluster', s.warming)])),
  };
}

function endpointsDump({ live }: DumpSources, wanted: Wanted): Dump {
  const assignments = [...live.resources.assignments].filter(([name]) => wanted(name));
  return {
    '@type': dumpType('EndpointsConfigDump'),
    dynamic_endpoint_configs: assignments.map(([, e]) => dynamic('eds', 'endpoint_config', e)),
  };
}

function listenersDump({ bootstrap, startedMs, live, version }: DumpSources, wanted: Wanted): Dump {
  const slots = [...live.resources.listeners].filter(([name, slot]) => !slot.isStatic && wanted(name));
  const own = (bootstrap.staticResources?.listeners ?? []).filter((l) => wanted(l.name));
  return {
    '@type': dumpType('ListenersConfigDump'),
    version_info: version('lds'),
    static_listeners: own.map((l) => ({
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

function routesDump(sources: DumpSources, wanted: Wanted): Dump {
  const routes = [...sources.live.resources.routes].filter(([name]) => wanted(name));
  return {
    '@type': dumpType('RoutesConfigDump'),
    static_route_configs: inlineRoutes(sources, wanted),
    dynamic_route_configs: routes.map(([, e]) => dynamic('rds', 'route_config', e)),
  };
}

/** Those that stand in a connection manager. */
function inlineRoutes(sources: DumpSources, wanted: Wanted): readonly Json[] {
  const { static_listeners, dynamic_listeners } = listenersDump(sources, () => true) as unknown as ListenersJson;
  const active = dynamic_listeners.flatMap((l) => (l.active_state === undefined ? [] : [l.active_state]));
  return [...static_listeners, ...active].flatMap(({ listener, last_updated }) => {
    const { filter_chains: chains = [], default_filter_chain: last } = listener;
    const filters = [...chains, ...(last === undefined ? [] : [last])].flatMap((c) => c.filters ?? []);
    const configs = filters.flatMap((f) => (f.typed_config?.route_config === undefined ? [] : [f.typed_config]));
    return configs
      .filter((c) => wanted(c.route_config?.name ?? ''))
      .map((c) => ({ route_config: typed(resourceTypes.rds, c.route_config ?? {}), last_updated }));
  });
}

interface ChainJson {
  readonly filters?: readonly {
    readonly typed_config?: { readonly route_config?: { readonly name?: string; readonly [field: string]: Json } };
  }[];
}

interface ListenerState {
  readonly listener: ListenerJson;
  readonly last_updated: string;
}

interface ListenersJson {
  readonly static_listeners: readonly ListenerState[];
  readonly dynamic_listeners: readonly { readonly active_state?: ListenerState }[];
}

interface ListenerJson {
  readonly filter_chains?: readonly ChainJson[];
  readonly default_filter_chain?: ChainJson;
}

/** Public certificates as they are, keys never. */
function secretsDump({ live, startedMs }: DumpSources, wanted: Wanted): Dump {
  const secrets = [...live.held.secrets.values()].filter((s) => wanted(s.name));
  return {
    '@type': dumpType('SecretsConfigDump'),
    dynamic_active_secrets: secrets.map((secret) => ({
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
  const schema = messageNamed(typeNameOf(resourceTypes[kind]));
  return {
    version_info: entry.version,
    [field]: typed(resourceTypes[kind], messageJson(fromBinary(schema, entry.raw))),
    last_updated: iso(entry.updatedMs),
  };
}

function typed(typeUrl: string, value: Json): Json {
  return { '@type': typeUrl, ...(value as object) };
}

/** @param all with fields that have their default value */
export function messageJson(message: Message, all = false): Json {
  const schema = messageNamed(message.$typeName);
  const options = { registry, useProtoFieldName: true, alwaysEmitImplicit: all };
  return redact(schema, lateProtobuf().toJson(schema, message, options) as Json);
}
