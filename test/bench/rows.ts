/** What is measured: which proxies, which request, and how it is driven. */
import { logsToFile, type Role } from './configurations.ts';
import { variedPaths } from './place.ts';

/** HTTP/2 at the client, between the hops and at the upstream, driven by h2load. */
export interface Http2Drive {
  readonly connections: number;
  /** At once on each connection: many are batched into few writes, one is not. */
  readonly streams: number;
  /** POST with a message, an answer with trailers. */
  readonly grpc: boolean;
  /** How many paths take turns: with a thousand nothing that remembers whole heads helps, a service has some twenty. */
  readonly paths: number;
}

export interface Row {
  readonly name: string;
  readonly roles: readonly Role[];
  /** With policy, retries and access log. */
  readonly rich: boolean;
  readonly path: string;
  readonly close: boolean;
  readonly peers: readonly string[];
  /** saturate: wrk, 64 connections. paced: 1,000 requests a second, evenly. */
  readonly drive: 'saturate' | 'paced';
  /** What other connections fetch as fast as they can meanwhile, or null. */
  readonly beside: string | null;
  /** Runs in CI, beside nginx. */
  readonly ci: boolean;
  /** null for HTTP/1.1. */
  readonly http2: Http2Drive | null;
}

const everyone = ['agent', 'base', 'nginx', 'haproxy', 'envoy'];
/** Where a log is written, who writes none is left out. */
const logging = everyone.filter(logsToFile);
const plain: readonly Role[] = ['plain'];
const mutualTls: readonly Role[] = ['egress', 'ingress'];
/** Between two hops there is a choice of protocol. */
const pairs = [...everyone, 'agent-h1'];
const loggingPairs = [...logging, 'agent-h1', 'envoy-h2'];

const simple = {
  rich: false,
  path: '/',
  close: false,
  peers: everyone,
  drive: 'saturate',
  beside: null,
  ci: false,
  http2: null,
} as const;

const batched: Http2Drive = { connections: 8, streams: 32, grpc: false, paths: 1 };
const single: Http2Drive = { connections: 64, streams: 1, grpc: false, paths: 1 };
/** nghttpx and haproxy are what there is for HTTP/2; nginx does not speak it to upstreams. */
const http2 = { ...simple, peers: ['agent', 'base', 'nghttpx', 'haproxy', 'envoy'], path: '/small' } as const;
const http2Rich = { ...http2, rich: true, peers: ['agent', 'base', 'nghttpx', 'envoy'] } as const;

export const rows: readonly Row[] = [
  { ...simple, name: 'plain hop, small', roles: plain },
  { ...simple, name: 'two hops mTLS, small', roles: mutualTls, peers: pairs },
  { ...simple, name: 'plain hop, rich', roles: plain, rich: true, peers: logging, ci: true },
  { ...simple, name: 'two hops mTLS, rich', roles: mutualTls, rich: true, peers: loggingPairs, ci: true },
  { ...simple, name: 'plain hop, 64 KiB', roles: plain, path: '/64k' },
  { ...simple, name: 'two hops mTLS, 64 KiB', roles: mutualTls, peers: pairs, path: '/64k', ci: true },
  { ...simple, name: 'two hops mTLS, 1 MiB', roles: mutualTls, peers: pairs, path: '/1m' },
  { ...simple, name: 'plain hop, Connection: close', roles: plain, close: true, ci: true },
  { ...simple, name: 'plain hop, paced', roles: plain, drive: 'paced' },
  { ...simple, name: 'two hops mTLS, paced', roles: mutualTls, drive: 'paced' },
  { ...simple, name: 'two hops mTLS, paced, rich', roles: mutualTls, drive: 'paced', rich: true, peers: loggingPairs },
  { ...simple, name: 'two hops mTLS, paced, beside 64 KiB', roles: mutualTls, drive: 'paced', beside: '/64k' },
  { ...simple, name: 'two hops mTLS, paced, beside 10 MiB', roles: mutualTls, drive: 'paced', beside: '/10m' },
  { ...http2, name: 'h2c hop, 8 x 32', roles: plain, http2: batched },
  { ...http2, name: 'h2c hop, 64 x 1', roles: plain, http2: single },
  { ...http2, name: 'h2c hop, 8 x 32, varied', roles: plain, http2: { ...batched, paths: variedPaths } },
  { ...http2, name: 'gRPC hop, 8 x 32', roles: plain, http2: { ...batched, grpc: true } },
  { ...http2, name: 'gRPC hop, 64 x 1', roles: plain, http2: { ...single, grpc: true } },
  { ...http2, name: 'gRPC two hops mTLS, 8 x 32', roles: mutualTls, http2: { ...batched, grpc: true } },
  // What is pooled by number has an end somewhere, and behind it everything is made anew for each request.
  {
    ...http2,
    name: 'gRPC two hops mTLS, 8 x 64',
    roles: mutualTls,
    http2: { ...batched, streams: 64, grpc: true },
  },
  { ...http2, name: 'gRPC two hops mTLS, 64 x 1', roles: mutualTls, http2: { ...single, grpc: true } },
  {
    ...http2,
    name: 'gRPC two hops mTLS, 8 x 32, varied',
    roles: mutualTls,
    http2: { ...batched, grpc: true, paths: variedPaths },
  },
  {
    ...http2,
    name: 'gRPC two hops mTLS, 8 x 32, 20 paths',
    roles: mutualTls,
    http2: { ...batched, grpc: true, paths: 20 },
  },
  { ...http2Rich, name: 'gRPC two hops mTLS, 8 x 32, rich', roles: mutualTls, http2: { ...batched, grpc: true } },
  { ...http2Rich, name: 'gRPC two hops mTLS, 64 x 1, rich', roles: mutualTls, http2: { ...single, grpc: true } },
  {
    ...http2,
    name: 'h2 two hops mTLS, 64 KiB, 8 x 4',
    roles: mutualTls,
    path: '/64k',
    http2: { ...batched, streams: 4 },
  },
];
