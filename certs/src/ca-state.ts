/**
 * What the CA must not forget: its roots, which of them signs, and the sequence of the bundle they make.
 * Root rotation in three steps, each pure: prepare (both in the bundle), activate (the new one signs), drop (the old
 * one leaves). Invariant: one root is active; the sequence grows by one with every change of the bundle.
 */
import type { RootMaterial } from '@chainmail/pki/authority';
import { UserError } from '@chainmail/runtime';

export interface RootSlot extends RootMaterial {
  readonly role: 'prepared' | 'active' | 'retired';
  /** When it took on its role. */
  readonly sinceMs: number;
  /** The longest lifetime of a certificate it signed: how long after retiring something may still need it. */
  readonly longestTtlSeconds: number;
}

export interface CaState {
  readonly version: 1;
  readonly trustDomain: string;
  readonly sequence: number;
  readonly roots: readonly RootSlot[];
}

/** Replicas look at the store this often at least, so a retired root may have signed this much longer. */
export const replicaLagMs = 60_000;

export function initialState(trustDomain: string, root: RootMaterial, nowMs: number): CaState {
  const slot = { ...root, role: 'active', sinceMs: nowMs, longestTtlSeconds: 0 } as const;
  return { version: 1, trustDomain, sequence: 1, roots: [slot] };
}

export function activeRoot(state: CaState): RootSlot {
  const [root, ...more] = state.roots.filter((r) => r.role === 'active');
  if (root === undefined || more.length > 0) throw new Error('a CA state has exactly one active root');
  return root;
}

/** Adds the next root to the bundle; it does not sign yet. @throws UserError CA_ROTATION */
export function prepareRoot(state: CaState, root: RootMaterial, nowMs: number): CaState {
  if (state.roots.length > 1) {
    throw new UserError('CA_ROTATION', 'a rotation is under way already', { hint: 'activate and drop first' });
  }
  const slot = { ...root, role: 'prepared', sinceMs: nowMs, longestTtlSeconds: 0 } as const;
  return { ...state, sequence: state.sequence + 1, roots: [...state.roots, slot] };
}

const at = (ms: number): string => new Date(ms).toISOString();

/**
 * Lets the prepared root sign. Refuses until every workload has renewed once, and so holds the bundle with both.
 * @throws UserError CA_ROTATION
 */
export function activateRoot(state: CaState, nowMs: number): CaState {
  const next = state.roots.find((r) => r.role === 'prepared');
  if (next === undefined) throw new UserError('CA_ROTATION', 'no root is prepared', { hint: 'prepare one first' });
  const readyAtMs = next.sinceMs + activeRoot(state).longestTtlSeconds * 1000 + replicaLagMs;
  if (nowMs < readyAtMs) {
    throw new UserError('CA_ROTATION', `the new root is not with every workload before ${at(readyAtMs)}`);
  }
  const roots = state.roots.map((r) => {
    if (r.role === 'active') return { ...r, role: 'retired', sinceMs: nowMs } as const;
    return r === next ? ({ ...r, role: 'active', sinceMs: nowMs } as const) : r;
  });
  return { ...state, roots };
}

/** Takes retired roots out of the bundle once no live certificate can need them. @throws UserError CA_ROTATION */
export function dropRetiredRoots(state: CaState, nowMs: number): CaState {
  const retired = state.roots.filter((r) => r.role === 'retired');
  if (retired.length === 0) throw new UserError('CA_ROTATION', 'no root is retired');
  const freeAtMs = Math.max(...retired.map((r) => r.sinceMs + r.longestTtlSeconds * 1000 + replicaLagMs));
  if (nowMs < freeAtMs) {
    throw new UserError('CA_ROTATION', `live certificates need the old root until ${at(freeAtMs)}`);
  }
  return { ...state, sequence: state.sequence + 1, roots: state.roots.filter((r) => r.role !== 'retired') };
}

/** Notes that the active root signs for this long; the same state when it already did for longer. */
export function noteTtl(state: CaState, ttlSeconds: number): CaState {
  if (activeRoot(state).longestTtlSeconds >= ttlSeconds) return state;
  const roots = state.roots.map((r) => (r.role === 'active' ? { ...r, longestTtlSeconds: ttlSeconds } : r));
  return { ...state, roots };
}

const isText = (v: unknown): v is string => typeof v === 'string' && v !== '';
const isCount = (v: unknown): v is number => typeof v === 'number' && Number.isSafeInteger(v) && v >= 0;

function isSlot(value: unknown): value is RootSlot {
  const s = value as Partial<RootSlot> | null;
  return (
    typeof s === 'object' &&
    s !== null &&
    ['prepared', 'active', 'retired'].includes(s.role ?? '') &&
    isText(s.certificatePem) &&
    isText(s.keyPem) &&
    isCount(s.sinceMs) &&
    isCount(s.longestTtlSeconds)
  );
}

/** A state as it was stored. @throws UserError CA_STATE_INVALID */
export function parseState(text: string, where: string): CaState {
  const bad = (reason: string): UserError =>
    new UserError('CA_STATE_INVALID', `${where}: ${reason}`, {
      hint: 'restore it from a backup; it holds the root key',
    });
  let value: Partial<CaState> | null;
  try {
    value = JSON.parse(text) as Partial<CaState> | null;
  } catch {
    throw bad('not JSON');
  }
  if (typeof value !== 'object' || value === null || value.version !== 1) throw bad('not a CA state of version 1');
  const { trustDomain, sequence, roots } = value;
  if (!isText(trustDomain) || !isCount(sequence) || !Array.isArray(roots) || !roots.every(isSlot)) {
    throw bad('a field is missing or of the wrong type');
  }
  const state: CaState = { version: 1, trustDomain, sequence, roots };
  if (roots.filter((r) => r.role === 'active').length !== 1) throw bad('not exactly one active root');
  return state;
}
