/**
 * Which policy covers what. The most specific wins: a port of a Service, a Service, a namespace, the mesh (a policy in
 * the system namespace). At the same place the oldest wins, then the first by name; the other is told so in its status.
 */
import type { BackendTrafficPolicy, MeshPolicy, SecurityPolicy, TargetRef, TargetSelector } from '@chainmail/kube';
import { system } from '@chainmail/runtime';
import { keyOf, type MeshService, type MeshServicePort } from './world.ts';

/** A SecurityPolicy, or the place of one that is broken and was never sound: it denies, under its own name. */
export type SecurityEntry =
  | { readonly kind: 'policy'; readonly policy: SecurityPolicy }
  | { readonly kind: 'broken'; readonly namespace: string; readonly name: string };

export interface EffectiveMesh {
  readonly mode: 'STRICT' | 'PERMISSIVE';
  readonly authorization: 'allow-mesh' | 'allow-all' | 'deny';
  /** Name of the policy that set the authorization, as it appears in a denial. */
  readonly authorizedBy: string;
}

export interface PolicyIssue {
  readonly kind: 'MeshPolicy' | 'SecurityPolicy' | 'BackendTrafficPolicy';
  readonly namespace: string;
  readonly name: string;
  readonly reason: 'Conflicted' | 'TargetNotFound';
  readonly message: string;
}

type Attached = {
  readonly metadata: { readonly namespace: string; readonly name: string; readonly creationTimestamp?: string };
  readonly spec: { readonly targetRefs?: readonly TargetRef[]; readonly targetSelectors?: readonly TargetSelector[] };
};

/** `namespace`, `namespace/service` or `namespace/service#port-name`. */
type Place = string;

export interface PolicyIndex {
  readonly security: ReadonlyMap<Place, SecurityEntry>;
  readonly traffic: ReadonlyMap<Place, BackendTrafficPolicy>;
  readonly mesh: ReadonlyMap<string, MeshPolicy>;
  /** Namespaces whose MeshPolicy is broken, and the name of one. */
  readonly brokenMesh: ReadonlyMap<string, string>;
  readonly issues: readonly PolicyIssue[];
}

const idOf = (p: Attached): string => keyOf(p.metadata.namespace, p.metadata.name);

/** Oldest first, then by name: the order in which policies take a place. */
function bySeniority(a: Attached, b: Attached): number {
  const at = (p: Attached): string => `${p.metadata.creationTimestamp ?? '9999'} ${idOf(p)}`;
  return at(a) < at(b) ? -1 : 1;
}

function placesOf(
  policy: Attached,
  services: ReadonlyMap<string, MeshService>,
): { places: Place[]; missing: string[] } {
  const { namespace } = policy.metadata;
  const { targetRefs, targetSelectors } = policy.spec;
  if (targetRefs === undefined && targetSelectors === undefined) return { places: [namespace], missing: [] };
  const places: Place[] = [];
  const missing: string[] = [];
  for (const ref of targetRefs ?? []) {
    const key = keyOf(namespace, ref.name);
    const service = services.get(key);
    places.push(ref.sectionName === undefined ? key : `${key}#${ref.sectionName}`);
    if (service === undefined) missing.push(`no Service ${key}`);
    else if (ref.sectionName !== undefined && !service.ports.some((p) => p.name === ref.sectionName)) {
      missing.push(`Service ${key} has no TCP port named ${ref.sectionName}`);
    }
  }
  for (const { matchLabels } of targetSelectors ?? []) {
    for (const s of services.values()) {
      const fits = Object.entries(matchLabels).every(([k, v]) => s.labels[k] === v);
      if (s.namespace === namespace && fits) places.push(s.key);
    }
  }
  return { places, missing };
}

function attach<P extends Attached>(
  kind: PolicyIssue['kind'],
  policies: readonly P[],
  services: ReadonlyMap<string, MeshService>,
  issues: PolicyIssue[],
): Map<Place, P> {
  const taken = new Map<Place, P>();
  for (const policy of [...policies].sort(bySeniority)) {
    const { places, missing } = placesOf(policy, services);
    const { namespace, name } = policy.metadata;
    const issue = (reason: PolicyIssue['reason'], message: string): void => {
      issues.push({ kind, namespace, name, reason, message });
    };
    if (missing.length > 0) issue('TargetNotFound', missing.join('; '));
    for (const place of places) {
      const first = taken.get(place);
      if (first === undefined) taken.set(place, policy);
      else if (first !== policy) {
        issue('Conflicted', `${place} is already covered by ${kind} ${idOf(first)}, which is older or first by name`);
      }
    }
  }
  return taken;
}

export interface Policies {
  readonly mesh: readonly MeshPolicy[];
  readonly security: readonly SecurityPolicy[];
  readonly traffic: readonly BackendTrafficPolicy[];
  readonly broken: BrokenPolicies;
}

/** Policies that are broken and were never sound: each denies what it covers. */
export interface BrokenPolicies {
  readonly security: readonly BrokenSecurityPolicy[];
  readonly mesh: readonly BrokenMeshPolicy[];
}

export const noneBroken: BrokenPolicies = { security: [], mesh: [] };

/** Covers its namespace, or the mesh when it stands in the system namespace. */
export interface BrokenMeshPolicy {
  readonly namespace: string;
  readonly name: string;
}

export interface BrokenSecurityPolicy {
  readonly namespace: string;
  readonly name: string;
  /** Names of Services of its namespace; none means that the whole namespace is meant. */
  readonly services: readonly string[];
}

export function indexPolicies(policies: Policies, services: ReadonlyMap<string, MeshService>): PolicyIndex {
  const issues: PolicyIssue[] = [];
  const security = new Map<Place, SecurityEntry>();
  for (const [place, policy] of attach('SecurityPolicy', policies.security, services, issues)) {
    security.set(place, { kind: 'policy', policy });
  }
  for (const { namespace, name, services: names } of policies.broken.security) {
    const places = names.length === 0 ? [namespace] : names.map((n) => keyOf(namespace, n));
    for (const place of places) security.set(place, { kind: 'broken', namespace, name });
  }
  const asAttached = policies.mesh.map((p) => ({ ...p, spec: { ...p.spec } }) as MeshPolicy & Attached);
  const mesh = attach('MeshPolicy', asAttached, services, issues);
  const traffic = attach('BackendTrafficPolicy', policies.traffic, services, issues);
  const brokenMesh = new Map(policies.broken.mesh.map((p) => [p.namespace, p.name]));
  return { security, traffic, mesh, brokenMesh, issues };
}

/** The traffic policy of a Service's port: the port's own, the Service's, its namespace's, the mesh's. */
export function trafficPolicyOf(
  index: PolicyIndex,
  service: MeshService,
  port: MeshServicePort,
): BackendTrafficPolicy | undefined {
  return (
    index.traffic.get(`${service.key}#${port.name ?? ''}`) ??
    index.traffic.get(service.key) ??
    index.traffic.get(service.namespace) ??
    index.traffic.get(system.namespace)
  );
}

/**
 * mTLS mode and default authorization of a namespace, each field from the nearest policy that sets it. Authorization
 * that nobody set lets the mesh in under STRICT, and everybody under PERMISSIVE, which would otherwise refuse the very
 * plaintext it is there to admit. A broken policy that was to set it denies, as a broken SecurityPolicy does.
 */
export function effectiveMesh(index: PolicyIndex, namespace: string): EffectiveMesh {
  const chain = [index.mesh.get(namespace), index.mesh.get(system.namespace)].filter((p) => p !== undefined);
  const broken = [namespace, system.namespace].find((n) => index.brokenMesh.has(n));
  const mode = chain.find((p) => p.spec.mtls !== undefined)?.spec.mtls?.mode ?? 'STRICT';
  const setter = chain.find((p) => p.spec.authorization !== undefined);
  if (broken !== undefined) {
    const authorizedBy = `MeshPolicy/${keyOf(broken, index.brokenMesh.get(broken) ?? '')}/invalid`;
    return { mode, authorization: 'deny', authorizedBy };
  }
  const authorization = setter?.spec.authorization?.default ?? (mode === 'STRICT' ? 'allow-mesh' : 'allow-all');
  const authorizedBy = setter === undefined ? 'MeshPolicy/default' : `MeshPolicy/${idOf(setter as Attached)}`;
  return { mode, authorization, authorizedBy };
}
