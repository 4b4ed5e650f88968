/** Applying an installation step by step, saying what is done, and waiting until it stands. */
import { type ApiClient, ApiError } from '@chainmail/kube/cluster';
import { type InstallObject, objectName, partLabel, webhookConfiguration } from '@chainmail/manifests';
import { type Clock, UserError } from '@chainmail/runtime';
import { type ApplyOptions, applyObject, type Change } from '../cluster/apply.ts';
import { objectPath } from '../cluster/paths.ts';
import { getsAgent } from '../cluster/probe-pod.ts';
import { rollouts } from '../cluster/rollout.ts';

export interface Stage {
  readonly title: string;
  readonly objects: readonly InstallObject[];
}

const titles: Readonly<Record<string, string>> = {
  crds: 'definitions',
  base: 'namespace and rights of users',
  ca: 'CA',
  control: 'control plane',
  injector: 'injector',
};

/** The namespace and the definitions first, then each program with what belongs to it, the webhook last. Pure. */
export function stages(objects: readonly InstallObject[]): readonly Stage[] {
  const of = (part: string): readonly InstallObject[] => objects.filter((o) => o.metadata.labels?.[partLabel] === part);
  return ['base', 'crds', 'ca', 'control', 'injector']
    .map((part) => ({ title: titles[part] ?? part, objects: of(part) }))
    .filter((s) => s.objects.length > 0);
}

export const deploymentsOf = (objects: readonly InstallObject[]): readonly string[] =>
  objects.filter((o) => o.kind === 'Deployment').map((o) => o.metadata.name ?? '');

export type Say = (line: string) => void;

const marks = { created: '+', changed: '~', unchanged: '=' } as const;

export function changeLines({ object, outcome, fields }: Change): readonly string[] {
  return [`  ${marks[outcome]} ${objectName(object)}`, ...fields.map((f) => `      ${f}`)];
}

export async function applyStage(
  api: ApiClient,
  stage: Stage,
  options: ApplyOptions,
  say: Say,
): Promise<readonly Change[]> {
  say(`${stage.title}:`);
  const changes: Change[] = [];
  for (const object of stage.objects) {
    const change = await applyObject(api, object, options);
    changes.push(change);
    for (const line of changeLines(change)) say(line);
  }
  return changes;
}

export interface Patience {
  readonly clock: Clock;
  readonly timeoutMs: number;
}

const lookEveryMs = 1000;
const pause = (clock: Clock): Promise<void> => new Promise((done) => clock.after(lookEveryMs, done));

/** Says each change of a Deployment's state. @throws UserError INSTALL_NOT_READY with what holds the pods up */
export async function waitForRollouts(
  api: ApiClient,
  names: readonly string[],
  { clock, timeoutMs }: Patience,
  say: Say,
): Promise<void> {
  const end = clock.now() + timeoutMs;
  const said = new Map<string, string>();
  for (;;) {
    const states = await rollouts(api, names);
    for (const r of states) {
      if (said.get(r.name) !== r.progress) say(`  ${r.done ? '√' : ' '} ${r.name}: ${r.progress}`);
      said.set(r.name, r.progress);
    }
    const open = states.filter((r) => !r.done);
    if (open.length === 0) return;
    if (clock.now() >= end) {
      const why = open.flatMap((r) => [`${r.name}: ${r.progress}`, ...r.troubles.map((t) => `  ${t}`)]);
      throw new UserError('INSTALL_NOT_READY', `not ready after ${timeoutMs / 1000} s:\n    ${why.join('\n    ')}`, {
        hint: 'everything is applied and goes on starting; meshctl check tells when it stands',
      });
    }
    await pause(clock);
  }
}

interface Webhooks {
  readonly webhooks?: readonly { readonly clientConfig?: { readonly caBundle?: string } }[];
}

/** Until the injector has told the API server whom to trust: before that, pods of labelled namespaces are refused. */
export async function waitForWebhooks(api: ApiClient, { clock, timeoutMs }: Patience, say: Say): Promise<void> {
  const end = clock.now() + timeoutMs;
  const path = objectPath('MutatingWebhookConfiguration', webhookConfiguration);
  for (;;) {
    const { webhooks = [] } = ((await api.get(path)) ?? {}) as Webhooks;
    if (webhooks.length > 0 && webhooks.every((w) => (w.clientConfig?.caBundle ?? '') !== '')) break;
    if (clock.now() >= end) {
      throw new UserError('INSTALL_NOT_READY', 'the injector has not written the caBundle of its webhooks', {
        hint: 'meshctl logs injector; until it has, pods of labelled namespaces are refused',
      });
    }
    await pause(clock);
  }
  say('  √ the API server trusts the injector');
}

/**
 * Until the API server reaches the injector: the network learns a moment after the rollout which pods are ready. What
 * else refuses the pod (a quota, Pod Security) comes after the webhooks, so that they have worked.
 */
export async function waitForReviews(api: ApiClient, { clock, timeoutMs }: Patience, say: Say): Promise<void> {
  const end = clock.now() + timeoutMs;
  for (;;) {
    const trouble = await reviewTrouble(api);
    if (trouble === null) break;
    if (clock.now() >= end) {
      throw new UserError('INSTALL_NOT_READY', `the API server cannot ask the injector: ${trouble}`, {
        hint: 'a NetworkPolicy or firewall may keep the API server from port 9443; until it can, pods of labelled namespaces are refused',
      });
    }
    await pause(clock);
  }
  say('  √ a pod gets an agent');
}

async function reviewTrouble(api: ApiClient): Promise<string | null> {
  try {
    return (await getsAgent(api, 'default', true)) ? null : 'a pod came back without an agent';
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return error.status === 0 || error.status >= 500 ? error.message : null;
  }
}
