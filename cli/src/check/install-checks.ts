/** Are the mesh's own programs there, ready, and of one version? Does the webhook answer? */
import type { KubeObject } from '@chainmail/kube';
import {
  customResourceDefinitions,
  imageOf,
  meshVersion,
  programNames,
  webhookConfiguration,
} from '@chainmail/manifests';
import { system } from '@chainmail/runtime';
import { objectPath, pathOf } from '../cluster/paths.ts';
import { getsAgent } from '../cluster/probe-pod.ts';
import { rollouts } from '../cluster/rollout.ts';
import { type Category, type Check, failure, success, warning } from './check.ts';
import type { Facts } from './facts.ts';

const recorded: Check<Facts> = {
  description: 'the mesh is installed',
  hint: 'meshctl install',
  fatal: true,
  ask: async (facts) => ((await facts.installed()) === undefined ? failure('there is no installation') : success),
};

const sameVersion: Check<Facts> = {
  description: 'it is of the version of this meshctl',
  hint: 'meshctl upgrade, or use the meshctl it was installed with',
  ask: async (facts) => {
    const version = (await facts.installed())?.version ?? '';
    return version === meshVersion ? success : warning(`it is ${version}, meshctl is ${meshVersion}`);
  },
};

interface WithConditions {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

const definitions: Check<Facts> = {
  description: 'the definitions of its kinds are in force',
  hint: 'meshctl upgrade applies them again; kubectl describe crd tells what the API server thinks',
  ask: async (facts) => {
    const all = await Promise.all(
      customResourceDefinitions().map(async (wanted) => {
        const found = (await facts.api.get(pathOf(wanted))) as WithConditions | undefined;
        const established = found?.status?.conditions?.some((c) => c.type === 'Established' && c.status === 'True');
        return established === true
          ? []
          : [`${wanted.metadata.name} is ${found === undefined ? 'not there' : 'not established'}`];
      }),
    );
    return all.flat().length === 0 ? success : failure(all.flat().join('\n'));
  },
};

const ready = (program: (typeof programNames)[number]): Check<Facts> => ({
  description: `${program} is ready`,
  hint: `meshctl logs ${program}; kubectl -n ${system.namespace} describe pods`,
  ask: async (facts) => {
    const [state] = await rollouts(facts.api, [`chainmail-${program}`]);
    if (state?.done === true) return success;
    return failure([state?.progress ?? '', ...(state?.troubles ?? [])].join('\n'));
  },
});

interface Running extends KubeObject {
  readonly spec?: {
    readonly template?: { readonly spec?: { readonly containers?: readonly { readonly image?: string }[] } };
  };
}

const images: Check<Facts> = {
  description: 'they run the images of the installation',
  hint: 'somebody changed a Deployment: meshctl upgrade --force puts it back',
  ask: async (facts) => {
    const { values } = (await facts.installed()) ?? {};
    if (values === undefined) return success;
    const other = await Promise.all(
      programNames.map(async (name) => {
        const path = objectPath('Deployment', `chainmail-${name}`, system.namespace);
        const { spec } = ((await facts.api.get(path)) ?? {}) as Running;
        const image = spec?.template?.spec?.containers?.[0]?.image;
        const wanted = imageOf(values, name);
        return image === undefined || image === wanted ? [] : [`${name} runs ${image}, not ${wanted}`];
      }),
    );
    return other.flat().length === 0 ? success : warning(other.flat().join('\n'));
  },
};

interface Webhooks {
  readonly webhooks?: readonly {
    readonly name: string;
    readonly failurePolicy?: string;
    readonly clientConfig?: { readonly caBundle?: string };
  }[];
}

const webhooksFail: Check<Facts> = {
  description: 'the webhooks are configured, and fail closed',
  hint: 'meshctl upgrade applies them again',
  ask: async (facts) => {
    const { webhooks = [] } = ((await facts.webhooks()) ?? {}) as Webhooks;
    if (webhooks.length === 0) return failure(`MutatingWebhookConfiguration ${webhookConfiguration} is not there`);
    const open = webhooks
      .filter((w) => w.failurePolicy !== 'Fail')
      .map((w) => `${w.name} has failurePolicy ${w.failurePolicy}`);
    return open.length === 0 ? success : failure(open.join('\n'));
  },
};

/** Without the comments around them. */
const certificatesIn = (pem: string): string =>
  (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).join('\n');

const caBundle: Check<Facts> = {
  description: 'the API server trusts the injector',
  hint: 'the injector writes caBundle itself: meshctl logs injector',
  ask: async (facts) => {
    const { webhooks = [] } = ((await facts.webhooks()) ?? {}) as Webhooks;
    const bundle = await facts.bundle();
    const wrong = webhooks.flatMap(({ name, clientConfig }) => {
      const { caBundle: encoded = '' } = clientConfig ?? {};
      if (encoded === '') return [`${name} has no caBundle`];
      const there = certificatesIn(Buffer.from(encoded, 'base64').toString());
      return there !== '' && there === certificatesIn(bundle ?? '') ? [] : [`${name} has another bundle than the CA`];
    });
    return wrong.length === 0 ? success : failure(wrong.join('\n'));
  },
};

const injects: Check<Facts> = {
  description: 'a pod gets an agent (asked of the API server, not stored)',
  hint: 'meshctl logs injector; a NetworkPolicy or firewall may keep the API server from port 9443',
  ask: async (facts) => {
    const [namespace] = await facts.meshedNamespaces();
    const has = await getsAgent(facts.api, namespace ?? 'default', namespace === undefined);
    return has ? success : failure(`a pod in ${namespace ?? 'default'} came back without one`);
  },
};

export const installChecks: readonly Category<Facts>[] = [
  { name: 'chainmail-installation', checks: [recorded, sameVersion, definitions] },
  { name: 'chainmail-control-plane', checks: [...programNames.map(ready), images] },
  { name: 'chainmail-injection', checks: [webhooksFail, caBundle, injects] },
];
