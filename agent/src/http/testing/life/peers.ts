/** What clients and upstreams can do, in either version of HTTP, so that a random choice can be made of it. */
import type { Outbox } from './outbox.ts';
import type { Kind } from './setup.ts';

/** In place of a choice: the message that was begun last. */
export const newest = -1;

/** How a request or an answer is framed. */
export const shapes = ['none', 'length', 'empty', 'open', 'head'] as const;
export type Shape = (typeof shapes)[number];

export const methodOf: Readonly<Record<Shape, string>> = {
  none: 'GET',
  head: 'HEAD',
  length: 'POST',
  empty: 'POST',
  open: 'POST',
};

export interface Peer {
  readonly outbox: Outbox;
  /** It has done what no peer should. */
  readonly hasNonsense: boolean;
  /** Bytes of a message that is under way; which chooses among them. */
  body(which: number, bytes: number, last: boolean): void;
  /** Ends a message with trailers. */
  trailers(which: number): void;
  /** Takes one message back. */
  reset(which: number, code: number): void;
  /** Something that no peer should send. */
  nonsense(which: number): void;
  /** Lets the agent send so many bytes more. */
  widen(which: number, bytes: number): void;
  /** Opens the window of each stream that there is for good: once, for window updates without end are an attack. */
  widenAll(): void;
  /** Looks at what has come. Throws when it is not what should have. */
  observe(): void;
}

export interface LifeClient extends Peer {
  /** Asks for something; the request carries the mark, and so must its answer. False when it cannot now. */
  ask(mark: string, kind: Kind, shape: Shape): boolean;
  /** Ends its side where that is how a request ends. */
  endTunnel(): void;
}

export interface LifeUpstream extends Peer {
  /** Says what it allows, as a server of HTTP/2 does before anything else. */
  greet(): void;
  inform(which: number): void;
  answer(which: number, status: number, shape: Shape, location: Kind): void;
  /** Takes no more requests on this connection. */
  goAway(which: number): void;
  /** Which of the requests under way has the mark; -1 for none. */
  find(mark: string): number;
}

/** Where a request goes, of two names that an upstream may be asked for. A CONNECT's is its target. */
export const hostOf = (mark: string, kind: Kind): string =>
  kind === 'connect' ? 'a:443' : mark.charCodeAt(0) % 2 === 0 ? 'a' : 'b';

/** Fails a property. */
export function insist(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

/** The bytes of a message are all its mark, so that whoever gets those of another notices. `~` comes out of tunnels. */
export function insistOnMark(body: string, mark: string, where: string): void {
  for (const byte of body) insist(byte === mark || byte === '~', `${where}: '${body}' in a message of ${mark}`);
}

export const pick = <T>(of: readonly T[], which: number): T => of[which % of.length] as T;
