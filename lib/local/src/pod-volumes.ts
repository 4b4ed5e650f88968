/** The volumes of one pod on disk: made before its containers start, kept up to date, gone with the pod. */
import fs from 'node:fs';
import path from 'node:path';
import type { Clock, Timer } from '@chainmail/runtime';
import { messageOf } from '@chainmail/runtime';
import { run, tryRun } from './command.ts';
import { userOf } from './container-setup.ts';
import type { NamedPod, Volume } from './pod.ts';
import { wholeUnits } from './quantity.ts';
import { renewTokenAt } from './service-account-token.ts';
import { hasContent, tokenLifeSeconds, type VolumeSources, volumeFiles } from './volume-content.ts';
import { type Ownership, writeVolume } from './volume-writer.ts';

const defaultMemoryBytes = 256 * 1024 * 1024;

export class PodVolumes {
  readonly #pod: NamedPod;
  readonly #dir: string;
  readonly #sources: VolumeSources;
  readonly #clock: Clock;
  readonly #onProblem: (text: string) => void;
  readonly #tokenTimers: Timer[] = [];
  readonly #mounted: string[] = [];
  readonly #tokens = new Map<string, string>();
  #writes = 0;

  constructor(options: {
    readonly pod: NamedPod;
    readonly dir: string;
    readonly sources: VolumeSources;
    readonly clock: Clock;
    readonly onProblem: (text: string) => void;
  }) {
    this.#pod = options.pod;
    this.#dir = options.dir;
    this.#clock = options.clock;
    this.#onProblem = options.onProblem;
    this.#sources = { ...options.sources, token: (pod, audience, s) => this.#token(pod, audience, s, options.sources) };
  }

  path(name: string): string {
    return path.join(this.#dir, name);
  }

  /** Throws UserError while an object that a volume needs is missing. */
  async create(): Promise<void> {
    for (const v of this.#pod.spec.volumes ?? []) {
      if (v.emptyDir !== undefined) await this.#emptyDir(v);
      else if (hasContent(v)) this.#write(v);
    }
    for (const v of this.#pod.spec.volumes ?? []) {
      const life = tokenLifeSeconds(v);
      if (life !== undefined && this.#tokenTimers.length === 0) this.#renewTokens(life);
    }
  }

  /** After objects have changed: rewrites what differs; a source that vanished leaves the files as they are. */
  refresh(): void {
    for (const v of (this.#pod.spec.volumes ?? []).filter(hasContent)) {
      try {
        this.#write(v);
      } catch (error) {
        this.#onProblem(`volume ${v.name}: ${messageOf(error)}`);
      }
    }
  }

  async remove(): Promise<void> {
    for (const t of this.#tokenTimers) t.cancel();
    for (const m of this.#mounted) await tryRun('umount', ['-l', m]);
    fs.rmSync(this.#dir, { recursive: true, force: true });
  }

  #token(pod: NamedPod, audience: string | undefined, seconds: number, sources: VolumeSources): string {
    const key = `${audience ?? ''} ${seconds}`;
    const known = this.#tokens.get(key);
    if (known !== undefined) return known;
    const token = sources.token(pod, audience, seconds);
    this.#tokens.set(key, token);
    return token;
  }

  #renewTokens(lifeSeconds: number): void {
    const again = (): void => {
      this.#tokenTimers[0] = this.#clock.after(Math.max(600, lifeSeconds) * 1000 * renewTokenAt, () => {
        this.#tokens.clear();
        this.refresh();
        again();
      });
    };
    again();
  }

  async #emptyDir(v: Volume): Promise<void> {
    const dir = this.path(v.name);
    if (fs.existsSync(dir)) return;
    fs.mkdirSync(dir, { recursive: true });
    if (v.emptyDir?.medium === 'Memory') {
      const bytes = wholeUnits(v.emptyDir.sizeLimit ?? '') ?? defaultMemoryBytes;
      await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes},nosuid,nodev`, 'chainmail', dir]);
      this.#mounted.push(dir);
    }
    const group = this.#pod.spec.securityContext?.fsGroup;
    if (group !== undefined) fs.chownSync(dir, 0, group);
    fs.chmodSync(dir, group === undefined ? 0o777 : 0o2777);
  }

  #write(v: Volume): void {
    const stamp = `${this.#clock.now()}-${this.#writes++}`;
    writeVolume(this.path(v.name), volumeFiles(v, this.#pod, this.#sources), this.#ownership(v), stamp);
  }

  #ownership(v: Volume): Ownership {
    const containers = [...this.#pod.spec.containers, ...(this.#pod.spec.initContainers ?? [])];
    const readers = containers.filter((c) => (c.volumeMounts ?? []).some((m) => m.name === v.name));
    const uids = new Set(readers.map((c) => userOf(this.#pod, c).uid));
    return { uid: uids.size === 1 ? [...uids][0] : undefined, gid: this.#pod.spec.securityContext?.fsGroup };
  }
}
