/**
 * What the mesh consists of now, indexed for translation. Immutable: every change of objects builds a new one.
 * Keys are `namespace/name`; lists are sorted, so that equal worlds translate to equal bytes.
 */
import type { HttpRoute } from '@chainmail/kube';
import type { AppProtocol } from './app-protocol.ts';
import type { PolicyIndex } from './policy-index.ts';

export interface PodPort {
  readonly port: number;
  readonly name: string | undefined;
}

export interface MeshPod {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  readonly ips: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly PodPort[];
  /** Has an agent, so it is spoken to with mutual TLS. */
  readonly meshed: boolean;
  readonly ready: boolean;
  /** Namespaces it says it calls; undefined means all. */
  readonly uses: readonly string[] | undefined;
  /** Its agent answers for the names of the mesh. */
  readonly capturesDns: boolean;
}

export interface MeshServicePort {
  readonly port: number;
  readonly name: string | undefined;
  readonly protocol: AppProtocol;
  readonly targetPort: string | number;
}

export interface MeshService {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Cluster IPs; none for a headless Service. */
  readonly vips: readonly string[];
  readonly ports: readonly MeshServicePort[];
  readonly selector: Readonly<Record<string, string>> | undefined;
  /** Every pod behind it, ready or not, sorted by key. */
  readonly pods: readonly MeshPod[];
}

export interface MeshEndpoint {
  readonly address: string;
  readonly port: number;
  /** `namespace/service-account` of a meshed pod. */
  readonly identity: string | undefined;
}

export interface World {
  readonly trustDomain: string;
  readonly services: ReadonlyMap<string, MeshService>;
  readonly pods: ReadonlyMap<string, MeshPod>;
  /** By `namespace/name` of the Service, then by port number. */
  readonly endpoints: ReadonlyMap<string, ReadonlyMap<number, readonly MeshEndpoint[]>>;
  readonly servicesOfPod: ReadonlyMap<string, readonly MeshService[]>;
  readonly policies: PolicyIndex;
  readonly routes: readonly HttpRoute[];
}

export const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`;

/** `namespace/service-account`. */
export const identityOf = (pod: MeshPod): string => keyOf(pod.namespace, pod.serviceAccount);

/** The SPIFFE ID behind `namespace/service-account`. */
export function spiffeIdOf(trustDomain: string, identity: string): string {
  const [namespace = '', account = ''] = identity.split('/');
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${account}`;
}

/** The number that a Service's target port has in a pod; undefined when no container names it. */
export function targetPortIn(pod: MeshPod, port: MeshServicePort): number | undefined {
  if (typeof port.targetPort === 'number') return port.targetPort;
  return pod.ports.find((p) => p.name === port.targetPort)?.port;
}
