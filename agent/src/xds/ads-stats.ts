/** What the statistics and the health of the agent say about discovery, under Envoy's names where it has one. */
import type { Clock } from '@chainmail/runtime';
import type { MainStat } from '../stats/registry.ts';
import type { ResourceKind } from './resource-types.ts';

interface TypeCount {
  success: number;
  rejected: number;
  version: string;
  lastError: string;
  lastUpdateMs: number;
}

const prefixes: Readonly<Record<ResourceKind, string>> = {
  cds: 'cluster_manager.cds.',
  lds: 'listener_manager.lds.',
  eds: 'control_plane.eds.',
  rds: 'control_plane.rds.',
  rtds: 'runtime.',
};

export class AdsStats {
  attempts = 0;
  identifier = '';
  lastCloseReason = '';
  readonly #clock: Clock;
  readonly #types: Record<ResourceKind, TypeCount> = {
    cds: none(),
    eds: none(),
    lds: none(),
    rds: none(),
    rtds: none(),
  };
  #connected = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isConnected(): boolean {
    return this.#connected;
  }

  connected(identifier: string): void {
    this.#connected = true;
    if (identifier !== '') this.identifier = identifier;
  }

  closed(reason: string): void {
    this.#connected = false;
    this.lastCloseReason = reason;
  }

  updated(kind: ResourceKind, version: string): void {
    const type = this.#types[kind];
    type.success++;
    type.version = version;
    type.lastUpdateMs = this.#clock.now();
  }

  rejected(kind: ResourceKind, reason: string): void {
    const type = this.#types[kind];
    type.rejected++;
    type.lastError = reason;
  }

  version(kind: ResourceKind): string {
    return this.#types[kind].version;
  }

  *values(): Iterable<MainStat> {
    yield { name: 'control_plane.connected_state', kind: 'gauge', value: this.#connected ? 1 : 0 };
    yield { name: 'control_plane.connection_attempts', kind: 'counter', value: this.attempts };
    for (const kind of Object.keys(this.#types) as ResourceKind[]) {
      const { success, rejected, lastUpdateMs } = this.#types[kind];
      const prefix = prefixes[kind];
      yield { name: `${prefix}update_success`, kind: 'counter', value: success };
      yield { name: `${prefix}update_rejected`, kind: 'counter', value: rejected };
      yield { name: `${prefix}update_time`, kind: 'gauge', value: lastUpdateMs };
    }
  }
}

function none(): TypeCount {
  return { success: 0, rejected: 0, version: '', lastError: '', lastUpdateMs: 0 };
}
