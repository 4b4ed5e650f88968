/**
 * The end of the process: connections finish, for as long as the deadline allows. In a pod inbound goes on being
 * accepted for a while, because other agents hear only later that this one leaves, and outbound until the very end.
 */
import type { Clock } from '@chainmail/runtime';

export interface StopTargets {
  drain(deadlineMs: number): void;
  stopListeners(direction: 'inbound' | 'all'): void;
  activeConnections(): number;
}

export interface StopTiming {
  /** What is left then is cut. */
  readonly deadlineMs: number;
  /** How long inbound goes on accepting while anything is active. */
  readonly acceptMs: number;
  /** Without an active connection for this long there is nothing to wait for. */
  readonly idleMs: number;
}

const lookEveryMs = 50;

/** Resolves when nothing is active any more, or at the deadline. */
export function drainConnections(targets: StopTargets, timing: StopTiming, clock: Clock): Promise<void> {
  const startMs = clock.now();
  let idleSinceMs = startMs;
  let accepting = timing.acceptMs > 0;
  targets.drain(timing.deadlineMs);
  if (!accepting) targets.stopListeners('all');
  return new Promise((resolve) => {
    const look = (): void => {
      const nowMs = clock.now();
      const passedMs = nowMs - startMs;
      if (targets.activeConnections() > 0) idleSinceMs = nowMs;
      if (accepting && passedMs >= timing.acceptMs) {
        accepting = false;
        targets.stopListeners('inbound');
      }
      const isIdle = nowMs - idleSinceMs >= timing.idleMs;
      if (isIdle || passedMs >= timing.deadlineMs) resolve();
      else clock.after(lookEveryMs, look);
    };
    look();
  });
}
