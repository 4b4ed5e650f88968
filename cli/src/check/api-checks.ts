/** Is there a cluster that the mesh can run on? */
import type { KubeObject } from '@chainmail/kube';
import { type Category, type Check, failure, success, warning } from './check.ts';
import type { Facts } from './facts.ts';

/** The definitions use CEL's isCIDR, which came with it; native sidecars are older. */
const oldestServer = { major: 1, minor: 31 };
const oldestKubelet = { major: 1, minor: 29 };

interface Version {
  readonly major: number;
  readonly minor: number;
}

/** `v1.34.1`, or a provider's `1` and `31+`. Pure. */
export function parseVersion(major: string | undefined, minor: string | undefined): Version | undefined {
  const [a, b] = [Number.parseInt(major ?? '', 10), Number.parseInt(minor ?? '', 10)];
  return Number.isNaN(a) || Number.isNaN(b) ? undefined : { major: a, minor: b };
}

const older = (v: Version, than: Version): boolean =>
  v.major < than.major || (v.major === than.major && v.minor < than.minor);
const spelt = ({ major, minor }: Version): string => `${major}.${minor}`;

const reach: Check<Facts> = {
  description: 'can reach the Kubernetes API',
  hint: 'kubectl version says the same; look at the address and the credentials in the kubeconfig',
  fatal: true,
  ask: async (facts) => {
    await facts.version();
    return success;
  },
};

const serverVersion: Check<Facts> = {
  description: `the API server is ${spelt(oldestServer)} or newer`,
  hint: 'upgrade the cluster; older servers do not know the rules in our definitions',
  ask: async (facts) => {
    const { major, minor, gitVersion } = await facts.version();
    const version = parseVersion(major, minor);
    if (version === undefined) return warning(`its version cannot be read: ${gitVersion ?? 'none'}`);
    return older(version, oldestServer) ? failure(`it is ${gitVersion ?? spelt(version)}`) : success;
  },
};

const kubeletOf = (node: KubeObject): string => {
  const { status } = node as { readonly status?: { readonly nodeInfo?: { readonly kubeletVersion?: string } } };
  return status?.nodeInfo?.kubeletVersion ?? '';
};

const sidecars: Check<Facts> = {
  description: 'every node runs native sidecars',
  hint: `upgrade the kubelets to ${spelt(oldestKubelet)} or newer: the agent is an init container with restartPolicy Always`,
  ask: async (facts) => {
    const nodes = await facts.nodes();
    if (nodes.length === 0) return warning('the cluster has no nodes yet');
    const old = nodes.filter((n) => {
      const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(kubeletOf(n)) ?? [];
      const version = parseVersion(major, minor);
      return version !== undefined && older(version, oldestKubelet);
    });
    return old.length === 0
      ? success
      : failure(old.map((n) => `node ${n.metadata.name} has ${kubeletOf(n)}`).join('\n'));
  },
};

export const apiChecks: Category<Facts> = { name: 'kubernetes-api', checks: [reach, serverVersion, sidecars] };
