/**
 * The last audit records in a ConfigMap, for whoever asks after the process is gone; the log has all of them.
 * Invariant: bounded, here and there; the CA never waits for it.
 */
import { isRecord, type KubeObject } from '@chainmail/kube';
import { type ApiClient, isConflict } from '@chainmail/kube/cluster';
import { type Clock, type Logger, messageOf, system, type Timer } from '@chainmail/runtime';

export const auditConfigMap = { name: 'chainmail-ca-audit', key: 'audit.jsonl' } as const;

const list = `/api/v1/namespaces/${system.namespace}/configmaps`;
const path = `${list}/${auditConfigMap.name}`;
const flushEveryMs = 10_000;
/** An object may have 1 MiB. */
const maxLines = 1000;
const maxBytes = 512 * 1024;
const maxAttempts = 4;

/** The newest lines that fit. */
function tail(lines: readonly string[]): string[] {
  const kept: string[] = [];
  let bytes = 0;
  for (const line of lines.toReversed()) {
    bytes += Buffer.byteLength(line) + 1;
    if (kept.length >= maxLines || bytes > maxBytes) break;
    kept.push(line);
  }
  return kept.reverse();
}

function linesOf(object: KubeObject | undefined): string[] {
  const data = (object as { data?: unknown } | undefined)?.data;
  const text = isRecord(data) ? data[auditConfigMap.key] : undefined;
  return typeof text === 'string' ? text.split('\n').filter((l) => l !== '') : [];
}

export class AuditKeeper {
  readonly #client: Pick<ApiClient, 'get' | 'create' | 'replace'>;
  readonly #clock: Clock;
  readonly #log: Logger;
  #pending: string[] = [];
  #timer: Timer | undefined;
  #dropped = 0;

  constructor(client: Pick<ApiClient, 'get' | 'create' | 'replace'>, clock: Clock, log: Logger) {
    this.#client = client;
    this.#clock = clock;
    this.#log = log;
  }

  add(record: Readonly<Record<string, unknown>>): void {
    this.#pending.push(JSON.stringify({ time: new Date(this.#clock.now()).toISOString(), ...record }));
    if (this.#pending.length > maxLines) {
      this.#pending.shift();
      this.#dropped++;
    }
    this.#timer ??= this.#clock.after(flushEveryMs, () => void this.flush());
  }

  /** Writes what is pending; keeps it for the next time when that fails. */
  async flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    const taken = this.#pending;
    if (taken.length === 0) return;
    this.#pending = [];
    try {
      await this.#append(taken);
      if (this.#dropped > 0) this.#log.warn({ dropped: this.#dropped }, 'audit records were not kept');
      this.#dropped = 0;
    } catch (error) {
      this.#log.warn({ reason: messageOf(error) }, 'could not keep the audit records; the log has them');
      const all = [...taken, ...this.#pending];
      this.#dropped += Math.max(0, all.length - maxLines);
      this.#pending = all.slice(-maxLines);
      this.#timer ??= this.#clock.after(flushEveryMs, () => void this.flush());
    }
  }

  async #append(added: readonly string[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const held = await this.#client.get(path);
      const data = { [auditConfigMap.key]: `${tail([...linesOf(held), ...added]).join('\n')}\n` };
      const metadata = { name: auditConfigMap.name, namespace: system.namespace };
      try {
        if (held === undefined)
          await this.#client.create(list, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data });
        else await this.#client.replace(path, { ...held, data });
        return;
      } catch (error) {
        if (!isConflict(error) || attempt === maxAttempts) throw error; // the other replica wrote: read again
      }
    }
  }
}
