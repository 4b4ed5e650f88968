/**
 * Which pod a client says it is, and whether its certificate bears that out. Invariant: a client gets the
 * configuration of a pod only if its SVID is that of the pod's own service account.
 */
import { clientFeatures } from '@chainmail/runtime';
import type { Node } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import type { Http2Use } from '../model/http2-use.ts';
import { identityOf, keyOf, type MeshPod, spiffeIdOf, type World } from '../model/world.ts';

/** Metadata fields that name the pod; the agent sends them under the names of its environment. */
const metadataPod = 'POD_NAME';
const metadataNamespace = 'POD_NAMESPACE';

const text = (node: Node, field: string): string | undefined => {
  const value = node.metadata?.[field];
  return typeof value === 'string' && value !== '' ? value : undefined;
};

/** `namespace/name` from the metadata, or from an id like `sidecar~10.0.0.7~web-1.shop~shop.svc.cluster.local`. */
export function claimedPod(node: Node): string | undefined {
  const name = text(node, metadataPod);
  const namespace = text(node, metadataNamespace);
  if (name !== undefined && namespace !== undefined) return keyOf(namespace, name);
  const [, , qualified = ''] = node.id.split('~');
  const dot = qualified.lastIndexOf('.');
  return dot > 0 && dot < qualified.length - 1 ? keyOf(qualified.slice(dot + 1), qualified.slice(0, dot)) : undefined;
}

/** Our agent says so in its node's client_features; Envoy says who it is. */
export function http2UseOf(node: Node): Http2Use {
  if (node.clientFeatures.includes(clientFeatures.http2)) return 'mesh';
  return node.userAgentName === 'envoy' ? 'declared' : 'none';
}

export type Admission =
  | { readonly verdict: 'admitted'; readonly pod: MeshPod }
  /** The pod may appear shortly: its object and its agent take different ways to us. */
  | { readonly verdict: 'unknown-pod'; readonly reason: string }
  | { readonly verdict: 'refused'; readonly reason: string };

export function admit(world: World, podKey: string, spiffeId: string): Admission {
  const pod = world.pods.get(podKey);
  if (pod === undefined) return { verdict: 'unknown-pod', reason: `there is no pod ${podKey}` };
  const owner = spiffeIdOf(world.trustDomain, identityOf(pod));
  if (owner !== spiffeId) {
    return { verdict: 'refused', reason: `pod ${podKey} runs as ${owner}, the certificate is ${spiffeId}` };
  }
  return { verdict: 'admitted', pod };
}
