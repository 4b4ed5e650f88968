/** Can the mesh be installed here, by whoever asks? */
import { defaultInstallValues, renderInstall } from '@chainmail/manifests';
import { system } from '@chainmail/runtime';
import { isPlaced, type PlacedKind, places } from '../cluster/paths.ts';
import { type Category, type Check, failure, success, warning } from './check.ts';
import { type Facts, isMeshed } from './facts.ts';

async function mayI(facts: Facts, kind: PlacedKind, verb: string): Promise<boolean> {
  const { apiVersion, plural, namespaced } = places[kind];
  const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : '';
  const answer = (await facts.api.request({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: {
        resourceAttributes: { group, resource: plural, verb, ...(namespaced ? { namespace: system.namespace } : {}) },
      },
    },
  })) as { readonly status?: { readonly allowed?: boolean } };
  return answer.status?.allowed === true;
}

/** What an apply comes to. */
const verbs = ['get', 'create', 'patch'] as const;

const permission = (kind: PlacedKind): Check<Facts> => ({
  description: `may create ${places[kind].plural}`,
  hint: 'installing needs the rights of cluster-admin: kubectl auth can-i --list',
  ask: async (facts) => {
    const allowed = await Promise.all(verbs.map((v) => mayI(facts, kind, v)));
    const missing = verbs.filter((_, i) => allowed[i] !== true);
    return missing.length === 0 ? success : failure(`not allowed to ${missing.join(', ')} ${places[kind].plural}`);
  },
});

const installedKinds = [...new Set(renderInstall(defaultInstallValues).map((o) => o.kind))].filter(isPlaced).sort();

const notInstalled: Check<Facts> = {
  description: 'no mesh is installed yet',
  hint: 'meshctl upgrade changes an installation, meshctl check looks at it',
  ask: async (facts) => {
    const there = await facts.installed();
    return there === undefined ? success : failure(`version ${there.version} is installed`);
  },
};

const gatewayApi: Check<Facts> = {
  description: 'HTTPRoute of the Gateway API is installed',
  hint: 'install the standard channel of sigs.k8s.io/gateway-api to route by HTTPRoute; the mesh works without',
  ask: async (facts) => {
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/httproutes.gateway.networking.k8s.io';
    return (await facts.api.get(path)) === undefined ? warning('its definition is not there') : success;
  },
};

const enforceLabel = 'pod-security.kubernetes.io/enforce';

/** Also asked of an installed mesh: a namespace may be labelled any time. */
export const podSecurity: Check<Facts> = {
  description: 'labelled namespaces admit mesh-init',
  hint: `it needs NET_ADMIN: kubectl label namespace NAME --overwrite ${enforceLabel}=privileged`,
  ask: async (facts) => {
    const strict = (await facts.namespaces()).filter(isMeshed).flatMap((n) => {
      const level = n.metadata.labels?.[enforceLabel];
      return level === 'baseline' || level === 'restricted'
        ? [`${n.metadata.name} enforces Pod Security '${level}'`]
        : [];
    });
    return strict.length === 0 ? success : failure(strict.join('\n'));
  },
};

export const preChecks: readonly Category<Facts>[] = [
  { name: 'permissions', checks: installedKinds.map(permission) },
  { name: 'pre-installation', checks: [notInstalled, podSecurity, gatewayApi] },
];
