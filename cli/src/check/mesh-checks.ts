/** Identities, agents and policies: is the mesh doing what it is for? */
import { customResourceDefinitions, type InstallObject, imageOf } from '@chainmail/manifests';
import { apiVersion, containers, labels } from '@chainmail/runtime';
import { listAll } from '../cluster/apply.ts';
import { injectedPods, named, podName } from '../cluster/injected-pods.ts';
import type { PodObject } from '../cluster/rollout.ts';
import { spell } from '../mesh/certificate-rows.ts';
import { podLabel } from '../mesh/mesh-client.ts';
import { type Category, type Check, failure, success, warning } from './check.ts';
import type { Facts } from './facts.ts';
import { podSecurity } from './pre-checks.ts';

const mostTold = 20;
const told = (problems: readonly string[]): string =>
  problems.length <= mostTold
    ? problems.join('\n')
    : [...problems.slice(0, mostTold), `and ${problems.length - mostTold} more`].join('\n');

const roots: Check<Facts> = {
  description: "the CA's roots last",
  hint: 'chainmail-ca root prepare, activate, drop: docs/operations.md, "A new root"',
  ask: async (facts) => {
    const all = await facts.roots();
    if (all.length === 0) return failure('the CA has published no bundle');
    const ending = all.flatMap((c) => {
      const left = Date.parse(c.validTo) - facts.nowMs;
      return left > facts.failWithinMs ? [] : [`root ${c.serialNumber} ends in ${spell(Math.round(left / 1000))}`];
    });
    return ending.length === 0 ? success : failure(ending.join('\n'));
  },
};

const bundles: Check<Facts> = {
  description: 'every labelled namespace has the newest trust bundle',
  hint: 'the CA writes them: meshctl logs ca',
  ask: async (facts) => {
    const [wanted, there] = [await facts.bundle(), await facts.bundles()];
    const wrong = (await facts.meshedNamespaces()).flatMap((n) => {
      const text = there.get(n);
      if (text === undefined) return [`${n} has none`];
      return text === wanted ? [] : [`${n} has another one`];
    });
    return wrong.length === 0 ? success : failure(told(wrong));
  },
};

const certificates: Check<Facts> = {
  description: "the agents' certificates last",
  hint: 'an agent renews at half of the life: meshctl logs POD, meshctl logs ca',
  ask: async (facts) => {
    const { rows, problems } = await facts.certificates();
    const ending = rows
      .filter((r) => r.status === 'expired' || r.secondsLeft * 1000 <= facts.failWithinMs)
      .map((r) => `${r.namespace}/${r.pod} ${r.secondsLeft < 0 ? 'has expired' : `ends in ${spell(r.secondsLeft)}`}`);
    return ending.length + problems.length === 0 ? success : failure(told([...ending, ...problems]));
  },
};

const disabled = (pod: PodObject): boolean =>
  pod.metadata.labels?.[labels.inject] === 'disabled' || pod.metadata.annotations?.[labels.inject] === 'disabled';

const withoutAgent: Check<Facts> = {
  description: 'pods of labelled namespaces have agents',
  hint: 'they were there before the label: kubectl rollout restart their workloads',
  ask: async (facts) => {
    const meshed = new Set(await facts.meshedNamespaces());
    const plain = (await facts.pods()).filter(
      (p) =>
        meshed.has(p.metadata.namespace ?? '') &&
        p.status?.phase === 'Running' &&
        p.metadata.deletionTimestamp === undefined &&
        !disabled(p) &&
        injectedPods([p]).length === 0,
    );
    const names = plain.map((p) => podName({ namespace: p.metadata.namespace ?? '', name: p.metadata.name ?? '' }));
    return names.length === 0 ? success : warning(told(names));
  },
};

const agentReady = (pod: PodObject): boolean => {
  const all = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  return all.find((c) => c.name === containers.agent)?.ready === true;
};

const agentsReady: Check<Facts> = {
  description: 'every agent is ready',
  hint: 'meshctl logs POD; an agent is ready when it has a certificate and its configuration',
  ask: async (facts) => {
    const leaving = new Set(
      injectedPods(await facts.pods())
        .filter((p) => p.leaving)
        .map(podName),
    );
    const bad = (await facts.pods()).filter((p) => injectedPods([p]).length > 0 && !agentReady(p));
    const names = bad
      .map((p) => podName({ namespace: p.metadata.namespace ?? '', name: p.metadata.name ?? '' }))
      .filter((n) => !leaving.has(n));
    return names.length === 0 ? success : failure(told(names));
  },
};

const agentsConnected: Check<Facts> = {
  description: 'every agent is connected to control',
  hint: 'it goes on with what it has; meshctl proxy-status, meshctl logs control',
  ask: async (facts) => {
    const connected = await facts.connectedAgents();
    const lost = (await facts.meshPods()).filter((p) => p.ready && !connected.has(podLabel(p))).map(podLabel);
    return lost.length === 0 ? success : failure(told(lost));
  },
};

const agentsCurrent: Check<Facts> = {
  description: 'every agent is of the installed version',
  hint: 'they work; kubectl rollout restart their workloads to replace them',
  ask: async (facts) => {
    const { values } = (await facts.installed()) ?? {};
    if (values === undefined) return success;
    const wanted = imageOf(values, 'agent');
    const old = injectedPods(await facts.pods()).filter((p) => !p.leaving && p.agentImage !== wanted);
    return old.length === 0 ? success : warning(named(old).join('\n'));
  },
};

interface Policy {
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  };
}

/** Of one of our kinds, whatever it is called. */
async function refusedOf(facts: Facts, definition: InstallObject): Promise<readonly string[]> {
  const { kind, plural } = (
    definition['spec'] as { readonly names: { readonly kind: string; readonly plural: string } }
  ).names;
  return (await listAll(facts.api, `/apis/${apiVersion}/${plural}`)).flatMap((o) => {
    const refused = (o as Policy).status?.conditions?.find((c) => c.type === 'Accepted' && c.status === 'False');
    const { namespace = '', name = '' } = o.metadata;
    return refused === undefined ? [] : [`${kind} ${namespace}/${name}: ${refused.message ?? ''}`];
  });
}

const policies: Check<Facts> = {
  description: 'every policy is accepted',
  hint: 'the message says what to write instead; until then the last good state, or a denial, is in force',
  ask: async (facts) => {
    const lists = await Promise.all(customResourceDefinitions().map((d) => refusedOf(facts, d)));
    return lists.flat().length === 0 ? success : warning(told(lists.flat()));
  },
};

export const meshChecks: readonly Category<Facts>[] = [
  { name: 'chainmail-identity', checks: [roots, bundles, certificates] },
  { name: 'chainmail-data-plane', checks: [podSecurity, withoutAgent, agentsReady, agentsConnected, agentsCurrent] },
  { name: 'chainmail-policies', checks: [policies] },
];
