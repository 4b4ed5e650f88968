/** What is measured: which proxies, which request, and how it is driven. */
import type { Role } from './configurations.ts';

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
}

const everyone = ['agent', 'base', 'nginx', 'haproxy', 'envoy'];
/** haproxy writes its log to a socket that nobody reads here, so it is left out where a log is written. */
const logging = everyone.filter((p) => p !== 'haproxy');
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
} as const;

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
];
