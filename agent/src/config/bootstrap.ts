/** Bootstrap: static resources, where the dynamic ones come from, and the admin interface. */
import { randomUUID } from 'node:crypto';
import { FieldError } from '@chainmail/xds';
import type {
  Admin,
  Bootstrap,
  Bootstrap_DynamicResources,
  Bootstrap_StaticResources,
} from '@chainmail/xds/proto/envoy/config/bootstrap/v3/bootstrap';
import type { Node } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import type { AddressSpec } from '../model/listener.ts';
import type { SecretSpec } from '../model/tls.ts';
import { readIpAddress } from './address.ts';
import { CompileContext, type CompileEnvironment } from './compile-context.ts';
import { readAdsSource, readGrpcCluster } from './config-source.ts';
import { readLocality } from './locality-balancing.ts';
import { type MessageReader, readMessage } from './message-reader.ts';
import { readOverload } from './overload.ts';
import { type ClusterResource, clusterResource, type ListenerResource, listenerResource } from './resources.ts';
import { RuntimeValues } from './runtime.ts';
import { type RuntimeSources, readLayeredRuntime } from './runtime-layers.ts';
import { readSecret } from './tls-secret.ts';

export type AdminAddress =
  | { readonly kind: 'tcp'; readonly address: AddressSpec }
  | { readonly kind: 'pipe'; readonly path: string; readonly mode: number };

export interface DynamicSources {
  /** Cluster of the ADS server, or null without one. */
  readonly adsCluster: string | null;
  readonly lds: boolean;
  readonly cds: boolean;
}

export interface CompiledBootstrap {
  readonly message: Bootstrap;
  readonly admin: AdminAddress | null;
  readonly dynamic: DynamicSources;
  readonly clusters: readonly ClusterResource[];
  readonly listeners: readonly ListenerResource[];
  readonly secrets: readonly SecretSpec[];
  /** Downstream connections there may be at once; 0 for no limit. */
  readonly maxConnections: number;
  readonly runtime: RuntimeValues;
  /** Who this proxy is, for compiling what discovery brings. */
  readonly own: Pick<CompileEnvironment, 'node' | 'localCluster'>;
  /** The static resources once more, with the runtime as it is now. */
  recompile(): Pick<CompiledBootstrap, 'clusters' | 'listeners'>;
}

type Reader = MessageReader<Bootstrap>;

/** @throws FieldError for what is wrong or not implemented */
export function compileBootstrap(
  message: Bootstrap,
  env: Omit<CompileEnvironment, 'staticSecrets'>,
): CompiledBootstrap {
  return readMessage(message, '', (r: Reader) => readBootstrap(r, env));
}

function readBootstrap(r: Reader, env: Omit<CompileEnvironment, 'staticSecrets'>): CompiledBootstrap {
  refuseOtherBehaviour(r);
  const node = r.inside('node', readNode);
  const localCluster = r.inside('clusterManager', (m) => m.take('localClusterName')) ?? '';
  const dynamic = r.inside('dynamicResources', readDynamic) ?? { adsCluster: null, lds: false, cds: false };
  const staticSecrets = new Set(r.message.staticResources?.secrets.map((s) => s.name));
  const sources = { ...pickTree(env), cluster: node?.cluster ?? '' };
  const runtime = r.inside('layeredRuntime', (l) => readLayeredRuntime(l, sources)) ?? new RuntimeValues();
  const own = node === undefined ? { localCluster } : { localCluster, node };
  const whole: CompileEnvironment = { ...env, staticSecrets, runtime, ...own };
  nameListeners(r.message);
  const resources = r.inside('staticResources', (s) => readStatic(s, whole));
  const { clusters = [], listeners = [], secrets = [] } = resources ?? {};
  checkReferences(dynamic, clusters, listeners);
  const [discovered] = runtime.resources;
  if (discovered !== undefined && dynamic.adsCluster === null) {
    throw new FieldError(discovered.path, 'needs dynamic_resources.ads_config');
  }
  if (localCluster !== '' && !clusters.some((c) => c.spec.name === localCluster)) {
    throw new FieldError('cluster_manager.local_cluster_name', `local cluster '${localCluster}' must be defined`);
  }
  return {
    message: r.message,
    admin: r.inside('admin', readAdmin) ?? null,
    dynamic,
    clusters,
    listeners,
    secrets,
    maxConnections: r.inside('overloadManager', readOverload) ?? 0,
    runtime,
    own,
    recompile: recompiler(r.message, whole, runtime),
  };
}

function pickTree({ readTree }: Omit<CompileEnvironment, 'staticSecrets'>): Pick<RuntimeSources, 'readTree'> {
  return readTree === undefined ? {} : { readTree };
}

function readNode(r: MessageReader<Node>): NonNullable<CompileEnvironment['node']> {
  return { node: r.take('id'), cluster: r.take('cluster'), locality: r.inside('locality', readLocality) ?? '' };
}

/** Apart from the reader, which would keep the descriptors of everything for as long as the agent lives: 4 MB. */
function recompiler(
  { staticResources }: Bootstrap,
  env: CompileEnvironment,
  runtime: RuntimeValues,
): CompiledBootstrap['recompile'] {
  const read = (s: MessageReader<Bootstrap_StaticResources>): Static => readStatic(s, env);
  return () =>
    staticResources === undefined
      ? { clusters: [], listeners: [] }
      : readMessage(staticResources, 'static_resources', read, runtime);
}

/** A listener without a name gets one that it keeps. */
function nameListeners({ staticResources }: Bootstrap): void {
  for (const listener of staticResources?.listeners ?? []) listener.name ||= randomUUID();
}

function refuseOtherBehaviour(r: Reader): void {
  r.only('useTcpForDnsLookups', false);
  r.inside('statsConfig', (s) => s.only('useAllDefaultTags', true));
}

function readDynamic(r: MessageReader<Bootstrap_DynamicResources>): DynamicSources {
  const lds = r.inside('ldsConfig', readAdsSource) !== undefined;
  const cds = r.inside('cdsConfig', readAdsSource) !== undefined;
  const adsCluster =
    r.inside('adsConfig', (a) => {
      a.oneOf('apiType', { DELTA_GRPC: null });
      return readGrpcCluster(a);
    }) ?? null;
  if ((lds || cds) && adsCluster === null) throw r.invalid('adsConfig', 'is required by the ads config source');
  return { adsCluster, lds, cds };
}

type Static = Pick<CompiledBootstrap, 'clusters' | 'listeners' | 'secrets'>;

function readStatic(r: MessageReader<Bootstrap_StaticResources>, env: CompileEnvironment): Static {
  const context = new CompileContext(env);
  return {
    secrets: r.each('secrets', (s) => readSecret(s, context)),
    clusters: r.take('clusters').map((c, i) => clusterResource(c, `${r.at('clusters')}[${i}]`, env)),
    listeners: r.take('listeners').map((l, i) => listenerResource(l, `${r.at('listeners')}[${i}]`, env)),
  };
}

function readAdmin(r: MessageReader<Admin>): AdminAddress | null {
  // Envoy's examples throw the admin log away; any other place is refused, for none is written.
  const path = r.take('accessLogPath');
  if (path !== '' && path !== '/dev/null') throw r.unsupported('accessLogPath', 'only /dev/null is implemented');
  const address = r.take('address');
  if (address === undefined) return null;
  return r.within('address', address, (a) => {
    const kind = a.take('address');
    if (kind.case === 'pipe') {
      return a.within(
        'pipe',
        kind.value,
        (p): AdminAddress => ({ kind: 'pipe', path: p.take('path'), mode: p.take('mode') }),
      );
    }
    return { kind: 'tcp', address: readIpAddress(a) };
  });
}

/** What Envoy too refuses at start: names that stand twice, and routes to clusters that cannot come any more. */
function checkReferences(
  dynamic: DynamicSources,
  clusters: readonly ClusterResource[],
  listeners: readonly ListenerResource[],
): void {
  const names = new Set<string>();
  for (const { spec } of clusters) {
    if (names.has(spec.name)) throw new FieldError('static_resources.clusters', `duplicate cluster '${spec.name}'`);
    names.add(spec.name);
  }
  const seen = new Set<string>();
  for (const { spec } of listeners) {
    if (seen.has(spec.name)) throw new FieldError('static_resources.listeners', `duplicate listener '${spec.name}'`);
    seen.add(spec.name);
  }
  if (dynamic.adsCluster !== null && !names.has(dynamic.adsCluster)) {
    throw new FieldError('dynamic_resources.ads_config', `unknown cluster '${dynamic.adsCluster}'`);
  }
  if (dynamic.cds) return;
  for (const { clusters: references } of listeners) {
    const unknown = references.find((c) => !names.has(c.name));
    if (unknown !== undefined) throw new FieldError(unknown.path, `route: unknown cluster '${unknown.name}'`);
  }
}
