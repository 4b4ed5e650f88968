/** When a local cluster counts as up, and when it cannot come up any more: pure, over a status. */
import { UserError } from '@chainmail/runtime';
import type { DevClient } from './dev-client.ts';
import type { DevPod, DevStatus } from './dev-status.ts';

interface LogRef {
  readonly namespace: string;
  readonly pod: string;
  readonly container?: string;
}

export type Readiness =
  | { readonly state: 'ready' }
  | { readonly state: 'waiting'; readonly what: string; readonly log?: LogRef }
  | {
      readonly state: 'failed';
      readonly reason: string;
      /** Whose log explains it. */
      readonly log?: LogRef;
    };

/** So many starts that ended badly are no coincidence. */
const hopelessRestarts = 3;

/** Trouble that waiting does not cure. */
const final =
  /^(refused: |denied by the injector: |there is no ServiceAccount |container \S+: CreateContainerConfigError: )/;

const isDone = (p: DevPod): boolean => p.ready || p.phase === 'Succeeded';
const nameOf = (p: DevPod): string => `${p.namespace}/${p.name}`;

function failureOf(p: DevPod): Readiness | undefined {
  const ref = { namespace: p.namespace, pod: p.name };
  const container = /^(?:init )?container ([a-z0-9-]+)/.exec(p.trouble ?? '')?.[1];
  const log = container === undefined ? ref : { ...ref, container };
  if (p.phase === 'Failed') return { state: 'failed', reason: `pod ${nameOf(p)}: ${p.trouble ?? 'failed'}`, log };
  if (p.trouble !== undefined && final.test(p.trouble)) {
    return { state: 'failed', reason: `pod ${nameOf(p)}: ${p.trouble}` };
  }
  if (!isDone(p) && p.restarts >= hopelessRestarts) {
    return { state: 'failed', reason: `pod ${nameOf(p)} keeps ending: ${p.trouble ?? `${p.restarts} restarts`}`, log };
  }
  return undefined;
}

export function readinessOf(status: DevStatus): Readiness {
  const problem = status.problems[0];
  if (problem !== undefined) {
    return { state: 'failed', reason: `${problem.origin.file}:${problem.origin.line}: ${problem.reason}` };
  }
  const broken = status.components.find((c) => c.restarts >= hopelessRestarts && c.state !== 'running');
  if (broken !== undefined) {
    const log = { namespace: 'chainmail-system', pod: broken.name };
    return { state: 'failed', reason: `${broken.name} keeps ending: ${broken.message ?? ''}`, log };
  }
  const failed = status.pods.map(failureOf).find((f) => f !== undefined);
  if (failed !== undefined) return failed;
  if (status.phase !== 'running') return { state: 'waiting', what: 'the control plane' };
  const pending = status.pods.filter((p) => !isDone(p));
  if (pending.length === 0) return { state: 'ready' };
  const names = pending.map((p) => (p.trouble === undefined ? nameOf(p) : `${nameOf(p)} (${p.trouble})`));
  const [first] = pending;
  const container = first?.unready[0];
  if (first === undefined || container === undefined) return { state: 'waiting', what: names.join(', ') };
  return { state: 'waiting', what: names.join(', '), log: { namespace: first.namespace, pod: first.name, container } };
}

/**
 * Resolves when every pod is ready. Rejects with a UserError that carries the reason and the last lines of the log
 * that explains it, as soon as it is clear that waiting does not help, or after timeoutMs.
 */
export async function waitUntilReady(
  client: DevClient,
  timeoutMs: number,
  onStatus: (status: DevStatus) => void = () => {},
): Promise<DevStatus> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const status = await client.status();
    onStatus(status);
    const verdict = readinessOf(status);
    if (verdict.state === 'ready') return status;
    if (verdict.state === 'failed')
      throw new UserError('LOCAL_NOT_READY', await explain(client, verdict.reason, verdict.log));
    if (Date.now() > end) {
      const reason = `not ready after ${timeoutMs / 1000} s: ${verdict.what}`;
      throw new UserError('LOCAL_NOT_READY', await explain(client, reason, verdict.log));
    }
    await new Promise((done) => setTimeout(done, 100));
  }
}

async function explain(client: DevClient, reason: string, log: LogRef | undefined): Promise<string> {
  if (log === undefined) return reason;
  const text = await client.logs({ ...log, tail: 15 }).catch(() => '');
  const whose = log.container === undefined ? log.pod : `${log.pod} ${log.container}`;
  return text === '' ? reason : `${reason}\nlast lines of ${whose}:\n${text.trimEnd().replace(/^/gm, '  | ')}`;
}
