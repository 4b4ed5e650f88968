/** What can happen, as plain data that fast-check makes and shrinks: who and how are taken from what there is then. */
import fc from 'fast-check';
import { errorCode } from '../../../http2/frame.ts';
import type { FakeStream } from '../fake-stream.ts';
import { endpoint } from '../specs.ts';
import { type LifeUpstream, newest, type Peer, pick, shapes } from './peers.ts';
import { kinds, type LifeSetup } from './setup.ts';
import type { LifeWorld } from './world.ts';

export interface LifeEvent {
  readonly what: What;
  readonly who: number;
  readonly which: number;
  readonly how: number;
  readonly last: boolean;
  /** More of this peer comes in the same read. */
  readonly more: boolean;
}

/** Kinds that have an upstream are more of a life. */
const often = [...kinds.slice(0, 6), ...kinds.slice(0, 5), 'again', 'all', 'ws', 'connect', ...kinds.slice(6)] as const;
const statuses = [200, 200, 200, 302, 302, 503, 503, 204, 304, 404] as const;
const codes = [errorCode.cancel, errorCode.noError, errorCode.refusedStream, errorCode.internalError, 1, 10] as const;
const steps = [1, 30, 30, 30, 100, 100, 200, 1000] as const;
const endpoints = [[8081], [8081, 8082], [8082], []] as const;
const sizes = [0, 1, 3, 6, 40] as const;

type Play = (world: LifeWorld, e: LifeEvent) => void;

/** Something that a client or an upstream does, if there is one. */
const client =
  (act: (peer: LifeWorld['clients'][number], e: LifeEvent, world: LifeWorld) => void): Play =>
  (world, e) =>
    at(world.liveClients, e, (peer) => act(peer, e, world));

const upstream =
  (act: (peer: LifeWorld['liveUpstreams'][number], e: LifeEvent) => void): Play =>
  (world, e) =>
    at(world.liveUpstreams, e, (peer) => act(peer, e));

function at<P extends Peer>(peers: readonly P[], e: LifeEvent, act: (peer: P) => void): void {
  const peer = pick(peers, e.who) as P | undefined;
  if (peer === undefined) return;
  act(peer);
  if (!e.more) peer.outbox.flush(e.last ? 0 : e.how);
}

/** Of a connection that is on its way, or of one that is up. */
const dialled =
  (connected: boolean, act: (stream: FakeStream, e: LifeEvent, world: LifeWorld) => void): Play =>
  (world, e) => {
    const streams = world.dialled.map((d) => d.stream).filter((s) => s.connected === connected);
    const stream = pick(streams, e.who) as FakeStream | undefined;
    if (stream !== undefined) act(stream, e, world);
  };

/** Each with how often it comes. */
const plays = {
  connect: [3, (world, e) => void world.connect(e.which % 2 === 0 ? 'http2' : 'http1', e.last)],
  ask: [12, client((peer, e, world) => ask(world, peer, e))],
  askAndMore: [6, client((peer, e, world) => follow(peer, e, () => ask(world, peer, e)))],
  clientBody: [8, client((peer, e) => peer.body(e.which, pick(sizes, e.how), e.last))],
  clientTrailers: [2, client((peer, e) => peer.trailers(e.which))],
  clientReset: [2, client((peer, e) => peer.reset(e.which, pick(codes, e.how)))],
  clientNonsense: [1, client((peer, e) => peer.nonsense(e.how))],
  clientWidens: [2, client((peer, e) => peer.widen(e.which, pick(sizes, e.how)))],
  clientEnds: [2, client((peer) => peer.outbox.stream.end())],
  clientFails: [1, client((peer) => peer.outbox.stream.fail('remote-reset'))],
  clientSlow: [1, client((peer) => slow(peer))],
  clientDrains: [2, client((peer) => peer.outbox.stream.unblock())],
  greet: [2, upstream((peer) => peer.greet())],
  inform: [2, upstream((peer, e) => peer.inform(e.which))],
  answer: [12, upstream(answer)],
  answerAndMore: [8, upstream((peer, e) => follow(peer, e, () => answer(peer, e)))],
  upstreamBody: [10, upstream((peer, e) => peer.body(e.which, pick(sizes, e.how), e.last))],
  upstreamTrailers: [3, upstream((peer, e) => peer.trailers(e.which))],
  upstreamReset: [3, upstream((peer, e) => peer.reset(e.which, pick(codes, e.how)))],
  upstreamNonsense: [1, upstream((peer, e) => peer.nonsense(e.how))],
  upstreamWidens: [2, upstream((peer, e) => peer.widen(e.which, pick(sizes, e.how)))],
  goAway: [2, upstream((peer, e) => peer.goAway(e.which))],
  upstreamSlow: [1, upstream((peer) => slow(peer))],
  upstreamDrains: [2, upstream((peer) => peer.outbox.stream.unblock())],
  accept: [5, dialled(false, accept)],
  refuse: [2, dialled(false, (stream, e) => stream.fail(e.last ? 'connect-refused' : 'connect-timeout'))],
  upstreamFails: [1, dialled(true, (stream, e) => (e.last ? stream.end() : stream.fail('remote-reset')))],
  tick: [5, (world, e) => world.w.advance(pick(steps, e.how))],
  drain: [1, (world, e) => void (world.w.isDraining = e.which % 4 === 0)],
  endpoints: [1, (world, e) => world.w.setEndpoints(pick(endpoints, e.which).map((port) => endpoint(port)))],
} as const satisfies Readonly<Record<string, readonly [often: number, play: Play]>>;

type What = keyof typeof plays;

function ask(world: LifeWorld, peer: LifeWorld['clients'][number], e: LifeEvent): void {
  const mark = world.nextMark();
  if (mark !== null) peer.ask(mark, kindOf(e), pick(shapes, e.how));
}

function answer(peer: LifeUpstream, e: LifeEvent): void {
  peer.answer(e.which, pick(statuses, e.how), pick(shapes, e.which + e.who), kindOf(e));
}

/** What may follow a head right away. */
const rests: readonly ((peer: Peer, e: LifeEvent) => void)[] = [
  (peer) => peer.body(newest, 0, true),
  (peer) => peer.body(newest, 0, false),
  (peer) => peer.body(newest, 3, true),
  (peer) => peer.body(newest, 3, false),
  (peer) => peer.trailers(newest),
  (peer, e) => peer.reset(newest, pick(codes, e.who)),
  (peer, e) => peer.nonsense(e.who),
];

/** A message begins, and one or two things come right behind its head. */
function follow(peer: Peer, e: LifeEvent, begin: () => void): void {
  begin();
  pick(rests, e.which + e.how)(peer, e);
  if (e.which % 2 === 0) pick(rests, Math.floor(e.how / rests.length))(peer, e);
}

const kindOf = (e: LifeEvent) => pick(often, e.which);

/** A connection comes up; where that is agreed on, in either version. */
function accept(stream: FakeStream, e: LifeEvent, { setup }: LifeWorld): void {
  if (setup.upstream === 'auto' && e.last) stream.info = { ...stream.info, alpn: 'h2' };
  stream.connect();
}

function slow(peer: Peer): void {
  peer.outbox.stream.slow = true;
}

/** Plays one event, and looks at what has come of it. */
export function play(world: LifeWorld, event: LifeEvent): void {
  plays[event.what][1](world, event);
  world.observe();
}

const whats = Object.entries(plays).map(([what, [weight]]) => ({ arbitrary: fc.constant(what as What), weight }));

export const lifeEvents: fc.Arbitrary<LifeEvent[]> = fc.array(
  fc.record({
    what: fc.oneof(...whats),
    who: fc.nat(7),
    which: fc.nat(59),
    how: fc.nat(59),
    last: fc.boolean(),
    more: fc.boolean(),
  }),
  { maxLength: 80, size: 'max' },
);

export const lifeSetup: fc.Arbitrary<LifeSetup> = fc.record({
  upstream: fc.constantFrom('http1', 'http2', 'downstream', 'auto'),
  tight: fc.constantFrom(false, false, true),
  bufferLimitBytes: fc.constantFrom(4, 1_000_000),
  requestsPerConnection: fc.constantFrom(0, 0, 2),
  window: fc.constantFrom(65_535, 4, 0),
  streams: fc.constantFrom(100, 1),
  connects: fc.constantFrom(true, true, false),
  lenient: fc.boolean(),
  end: fc.constantFrom('silence', 'help', 'nothing'),
});
