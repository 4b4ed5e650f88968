/**
 * What a pod's inbound side must do, as plain data: one entry for each port that is declared, named by a Service or
 * by a policy, and one for all others. Pods with equal models share the bytes of their configuration.
 */
import { reservedPorts, system } from '@chainmail/runtime';
import type { AppProtocol } from '../model/app-protocol.ts';
import { appProtocolOf } from '../model/app-protocol.ts';
import type { Http2Use } from '../model/http2-use.ts';
import { type EffectiveMesh, effectiveMesh, type SecurityEntry } from '../model/policy-index.ts';
import { type MeshPod, type MeshService, type MeshServicePort, targetPortIn, type World } from '../model/world.ts';
import { type Denial, denials, needsHttp, portsNamed, readsPaths } from './authorization.ts';

export interface InboundPort {
  readonly port: number;
  readonly http: boolean;
  /** What the application is spoken to in where it is HTTP: what the port declares, else what the caller speaks. */
  readonly protocol: AppProtocol;
  /** A rule looks at paths: escaped slashes are refused, since the application might read them as slashes. */
  readonly rejectEscapedSlashes: boolean;
  readonly denials: readonly Denial[];
  /** The same policies for a stream whose requests cannot be seen: the application's own TLS. */
  readonly opaqueDenials: readonly Denial[];
}

export interface InboundModel {
  readonly mode: 'STRICT' | 'PERMISSIVE';
  /** Ports that speak HTTP offer HTTP/2 to the other agents. */
  readonly multiplexed: boolean;
  readonly ports: readonly InboundPort[];
  readonly otherDenials: readonly Denial[];
}

interface Backing {
  readonly service: MeshService;
  readonly port: MeshServicePort;
}

const isReserved = (port: number): boolean => port >= reservedPorts.first && port <= reservedPorts.last;

/** Port of the pod -> the Service ports that lead to it. */
function backings(pod: MeshPod, services: readonly MeshService[]): Map<number, Backing[]> {
  const out = new Map<number, Backing[]>();
  for (const service of services) {
    for (const port of service.ports) {
      const number = targetPortIn(pod, port);
      if (number === undefined) continue;
      const list = out.get(number);
      if (list === undefined) out.set(number, [{ service, port }]);
      else list.push({ service, port });
    }
  }
  return out;
}

/** The policies of each Service that leads to the port; where none has one, the namespace's, then the mesh's. */
function securityOf(world: World, pod: MeshPod, behind: readonly Backing[]): SecurityEntry[] {
  const { security } = world.policies;
  const own = behind.flatMap(({ service, port }) => {
    return security.get(`${service.key}#${port.name ?? ''}`) ?? security.get(service.key) ?? [];
  });
  if (own.length > 0) return [...new Set(own)];
  const wide = security.get(pod.namespace) ?? security.get(system.namespace);
  return wide === undefined ? [] : [wide];
}

/** HTTP when every Service that leads there says so; when they disagree, opaque, which breaks nothing. */
function protocolOf(pod: MeshPod, port: number, behind: readonly Backing[]): AppProtocol {
  const named = new Set(behind.map((b) => b.port.protocol));
  if (named.size > 1) return 'auto';
  const [only] = named;
  return only ?? appProtocolOf({ name: pod.ports.find((p) => p.port === port)?.name, number: port });
}

interface PortContext {
  readonly world: World;
  readonly pod: MeshPod;
  readonly mesh: EffectiveMesh;
  readonly http2: Http2Use;
  readonly behind: ReadonlyMap<number, readonly Backing[]>;
}

function inboundPort(port: number, context: PortContext): InboundPort {
  const { world, pod, mesh } = context;
  const behind = context.behind.get(port) ?? [];
  const entries = securityOf(world, pod, behind);
  const protocol = protocolOf(pod, port, behind);
  const declaredHttp = protocol === 'http' || (protocol === 'http2' && context.http2 !== 'none');
  const http = declaredHttp || (protocol !== 'tcp' && entries.some((e) => needsHttp(e, port)));
  const place = { trustDomain: world.trustDomain, port } as const;
  return {
    port,
    http,
    protocol: http ? protocol : 'tcp',
    rejectEscapedSlashes: http && entries.some(readsPaths),
    denials: denials(entries, mesh, { ...place, sight: http ? 'http' : 'opaque' }),
    opaqueDenials: denials(entries, mesh, { ...place, sight: 'opaque' }),
  };
}

export function inboundModel(world: World, pod: MeshPod, http2: Http2Use): InboundModel {
  const mesh = effectiveMesh(world.policies, pod.namespace);
  const behind = backings(pod, world.servicesOfPod.get(pod.key) ?? []);
  const context: PortContext = { world, pod, mesh, http2, behind };
  const everywhere = securityOf(world, pod, []);
  const named = [...behind.values()]
    .flatMap((b) => securityOf(world, pod, b))
    .concat(everywhere)
    .flatMap(portsNamed);
  const ports = [...new Set([...pod.ports.map((p) => p.port), ...behind.keys(), ...named])];
  return {
    mode: mesh.mode,
    multiplexed: http2 === 'mesh',
    ports: ports
      .filter((p) => !isReserved(p))
      .sort((a, b) => a - b)
      .map((p) => inboundPort(p, context)),
    otherDenials: denials(everywhere, mesh, { trustDomain: world.trustDomain, port: undefined, sight: 'opaque' }),
  };
}
