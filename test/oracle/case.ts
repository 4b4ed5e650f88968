/** What is asked of both proxies: groups of cases, each group a connection manager of its own on one listener. */

/** What the upstream does with a request: sends bytes, or ends the connection in some way. */
/** code: of the RST_STREAM, where the upstream speaks HTTP/2. */
export type Answer =
  | string
  | { readonly ending: 'fin' | 'reset' | 'hang'; readonly first?: string; readonly code?: number };

/** Names the case in what a proxy passes on. */
export const caseHeader = 'x-case';

export interface Case {
  readonly name: string;
  /** Raw bytes; `\n` stands for CRLF. `@` is replaced by the header line that names the case, with its line end. */
  readonly send: string;
  /** Raw bytes as they are, not rewritten: for line ends and control characters. */
  readonly raw?: boolean;
  /** Answers to the attempts in order, the last one for all later ones; `\n` stands for CRLF. */
  readonly answers?: readonly Answer[];
  /** The client ends its side after sending. */
  readonly end?: boolean;
  /** How many final responses are waited for. */
  readonly responses?: number;
  /** Longest wait for the responses; for cases in which nothing may come. */
  readonly waitMs?: number;
}

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export interface GroupHost {
  readonly name: string;
  readonly metadata?: JsonObject;
  /** Zone `here` is the proxies' own. */
  readonly zone?: string;
  readonly health?: 'UNHEALTHY' | 'DEGRADED';
}

export interface Group {
  readonly name: string;
  /** What the client and the upstream speak; HTTP/1.1 unless said. */
  readonly client?: 'http2';
  readonly server?: 'http2';
  /** Fields of the connection manager beside stat_prefix and route configuration. */
  readonly manager?: JsonObject;
  readonly filters?: readonly Json[];
  /** Of a single virtual host for every domain. */
  readonly routes?: readonly Json[];
  /** Instead of routes. */
  readonly virtualHosts?: readonly Json[];
  /** Fields of the route configuration. */
  readonly routeConfig?: JsonObject;
  /** Fields of the group's cluster. */
  readonly cluster?: JsonObject;
  /** Requests at the upstream come over several connections at once: their order is chance. */
  readonly unordered?: true;
  /** Its hosts, by the names they have for auto_host_rewrite, with their envoy.lb metadata; one without, unless given. */
  readonly hosts?: readonly GroupHost[];
  readonly cases: readonly Case[];
}

export const filterType = (name: string): string => `type.googleapis.com/envoy.extensions.filters.http.${name}`;

/** The cluster of a group's upstream. */
export const upstreamOf = (group: string): string => `up_${group}`;

/** A cluster at whose address nobody listens. */
export const deadCluster = 'dead';

/** A request with the Host that the tables use. */
export const get = (target: string, headers = ''): string => `GET ${target} HTTP/1.1\nHost: a.example\n${headers}@\n`;

export const plain = 'HTTP/1.1 200 OK\ncontent-length: 2\n\nok';
