/** The agents that are connected, and the world they are to follow: one place publishes a new world to all of them. */
import type { Logger } from '@chainmail/runtime';
import type { Http2Use } from '../model/http2-use.ts';
import type { MeshPod, World } from '../model/world.ts';
import { type Snapshot, Translator } from '../snapshot/snapshot.ts';
import type { AgentStream, StreamEvents } from './agent-stream.ts';

export interface Agent {
  /** A number of its own: a pod that reconnects may for a moment have two streams. */
  readonly id: number;
  /** `namespace/name`. */
  readonly pod: string;
  readonly spiffeId: string;
  readonly node: string;
  readonly protocol: 'delta' | 'state-of-the-world';
  readonly connectedAtMs: number;
  readonly http2: Http2Use;
  readonly stream: AgentStream;
  /** Revision of the snapshot it was offered last. */
  readonly revision: number;
}

export interface FleetCounters {
  pushes: number;
  acknowledgements: number;
  rejections: number;
  /** Resources of our own making that break a rule of Envoy's API: a bug. */
  invalid: number;
}

interface Connected extends Omit<Agent, 'revision'> {
  revision: number;
  snapshot: Snapshot;
}

export interface Joining extends Omit<Agent, 'id' | 'stream' | 'revision'> {
  open(snapshot: Snapshot, events: StreamEvents): AgentStream;
}

export class Fleet {
  readonly #log: Logger;
  readonly #translator: Translator;
  readonly #agents = new Map<number, Connected>();
  readonly #waiting = new Set<() => void>();
  readonly #onChange: () => void;
  readonly counters: FleetCounters = { pushes: 0, acknowledgements: 0, rejections: 0, invalid: 0 };
  #lastId = 0;

  constructor(world: World, log: Logger, onChange: () => void) {
    this.#log = log;
    this.#translator = new Translator(world, ({ type, name }, reason) => {
      this.counters.invalid++;
      log.error({ type, resource: name, reason }, 'made an invalid resource; agents keep the one from before');
    });
    this.#onChange = onChange;
  }

  get world(): World {
    return this.#translator.world;
  }

  get revision(): number {
    return this.#translator.revision;
  }

  get encodedTotal(): number {
    return this.#translator.encodedTotal;
  }

  get agents(): readonly Agent[] {
    return [...this.#agents.values()];
  }

  /** An agent whose pod is gone keeps what it has until it goes, so that its last requests finish. */
  publish(world: World): void {
    this.#translator.update(world);
    for (const agent of this.#agents.values()) {
      const pod = world.pods.get(agent.pod);
      if (pod === undefined) continue;
      agent.revision = this.#translator.revision;
      agent.snapshot = this.#translator.snapshotFor(pod, agent.http2, agent.snapshot);
      agent.stream.update(agent.snapshot);
    }
    for (const call of [...this.#waiting]) call();
    this.#onChange();
  }

  /** Calls back after each new world until ended: for a client whose pod is not known yet. */
  onWorld(call: () => void): () => void {
    this.#waiting.add(call);
    return () => this.#waiting.delete(call);
  }

  /** Takes an agent in and offers it its snapshot; returns its stream and what lets it go. */
  join(pod: MeshPod, joining: Joining): { readonly stream: AgentStream; leave(): void } {
    const id = ++this.#lastId;
    const { open, ...about } = joining;
    const snapshot = this.#translator.snapshotFor(pod, joining.http2);
    const stream = open(snapshot, this.#events(joining.pod));
    this.#agents.set(id, { ...about, id, stream, snapshot, revision: this.#translator.revision });
    this.#onChange();
    return {
      stream,
      leave: () => {
        this.#agents.delete(id);
        this.#onChange();
      },
    };
  }

  #events(pod: string): StreamEvents {
    return {
      pushed: (type, changed, removed) => {
        this.counters.pushes++;
        this.#log.debug({ agent: pod, type, changed, removed }, 'pushed');
      },
      acknowledged: () => {
        this.counters.acknowledgements++;
      },
      rejected: ({ type, names, reason }) => {
        this.counters.rejections++;
        this.#log.error({ agent: pod, type, resources: names.slice(0, 20), reason }, 'an agent refused configuration');
      },
      changed: this.#onChange,
    };
  }
}
