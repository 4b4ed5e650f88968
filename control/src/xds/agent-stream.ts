/** What the rest of the control plane sees of an agent's stream, whichever variant of the protocol it speaks. */
import type { ResourceType } from '../snapshot/piece.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';

/** A response the agent refused; it goes on with what it had. */
export interface Rejection {
  readonly type: ResourceType;
  readonly version: string;
  /** The resources of the refused response. */
  readonly names: readonly string[];
  readonly reason: string;
}

export interface TypeState {
  readonly type: ResourceType;
  readonly names: readonly string[];
  /** Version of the last snapshot of which a response was accepted. */
  readonly acknowledged: string | undefined;
  readonly rejection: Rejection | undefined;
  readonly pending: boolean;
}

export interface StreamEvents {
  pushed(type: ResourceType, changed: number, removed: number): void;
  acknowledged(type: ResourceType, version: string): void;
  rejected(rejection: Rejection): void;
  /** After every request and update. */
  changed(): void;
}

export interface AgentStream {
  update(snapshot: Snapshot): void;
  readonly types: readonly TypeState[];
  readonly settled: boolean;
}
