/**
 * What compiling a resource needs from outside, and what it finds on the way: statistics blocks, files, and the
 * secrets, routes and references that stand inside a listener or cluster.
 */
import { createHash } from 'node:crypto';
import type { RouteConfigSpec } from '../model/http.ts';
import type { SecretSpec } from '../model/tls.ts';
import type { RuntimeValues } from './runtime.ts';

/** Hands out the first slot of a block; asking again for the same prefix gives the same block. */
export interface StatBlocks {
  listener(prefix: string): number;
  http(prefix: string): number;
  cluster(name: string): number;
  /** Of a virtual cluster, or of a route with a stat_prefix. */
  virtualHost(virtualHost: string, part: 'vcluster' | 'route', name: string): number;
  tcp(prefix: string): number;
  rbac(prefix: string): number;
  connectionLimit(prefix: string): number;
  proxyProto(prefix: string): number;
  /** The one block of listener filters without a prefix. */
  listenerFilters(): number;
  http2(): number;
}

/** A secret in a file, for whoever watches the file. */
export interface SecretFile {
  /** The secret's name for the workers. */
  readonly name: string;
  readonly path: string;
  /** Watched for changes instead of the file's own directory; '' for that. */
  readonly watchedDirectory: string;
  /** Reads it anew. @throws FieldError, UserError */
  load(): LoadedSecret;
}

export interface LoadedSecret {
  readonly spec: SecretSpec;
  /** Files it was read from: the response and what its data sources name. */
  readonly files: readonly string[];
}

export interface CompileEnvironment {
  readonly stats: StatBlocks;
  /** The cell of a connection limit: the same one for the same name. */
  readonly limitCell: (name: string) => number;
  /** Whole content of a file that a data source names. */
  readonly readFile: (path: string) => Buffer;
  /** A tree of files with runtime values, by their keys; null when it is not there. @throws UserError */
  readonly readTree?: (path: string) => ReadonlyMap<string, string> | null;
  /** Whether this process has a mesh identity, i.e. answers for the secrets of the identity cluster. */
  readonly hasIdentity: boolean;
  /** This proxy in the bootstrap: its names for add_user_agent, its locality for zone-aware routing. */
  readonly node?: { readonly cluster: string; readonly node: string; readonly locality?: string };
  /** local_cluster_name: the cluster of which this proxy is a host; absent or '' without. */
  readonly localCluster?: string;
  /** Loads a secret of a file and keeps it up to date from then on. @throws what loading it throws */
  readonly watchSecret?: (file: SecretFile) => void;
  /** Absent: none, so that what the configuration says holds. */
  readonly runtime?: RuntimeValues;
  /** Names of the secrets in static_resources. */
  readonly staticSecrets: ReadonlySet<string>;
}

export interface Reference {
  readonly name: string;
  readonly path: string;
}

/** Found while compiling one resource. */
export class CompileContext {
  readonly env: CompileEnvironment;
  readonly secrets = new Map<string, SecretSpec>();
  readonly inlineRoutes: RouteConfigSpec[] = [];
  /** Route configurations that RDS has to deliver. */
  readonly rds: Reference[] = [];
  /** Clusters that must be known (static, inline routes); Envoy does not check those of tcp_proxy and RDS. */
  readonly clusters: Reference[] = [];
  readonly warnings: string[] = [];
  readonly #routeNames = new Set<string>();
  readonly #limitNames = new Set<string>();

  constructor(env: CompileEnvironment) {
    this.env = env;
  }

  /** Registers material that stands in the configuration itself, under a name made of its content. */
  inlineSecret(
    secret:
      | { kind: 'certificate'; chainPem: string; keyPem: string }
      | { kind: 'trust'; bundlePem: string; crlPem?: string },
  ): string {
    const name = `inline/${contentHash(secret)}`;
    this.secrets.set(name, { ...secret, name });
    return name;
  }

  /** A name for an inline route configuration that stays over updates and is used once in this resource. */
  inlineRouteName(wanted: string): string {
    return unusedName(wanted, this.#routeNames);
  }

  /** Counts the connections of one limit; no two of a resource share it. */
  limitCell(wanted: string): number {
    return this.env.limitCell(unusedName(wanted, this.#limitNames));
  }
}

function unusedName(wanted: string, used: Set<string>): string {
  let name = wanted;
  for (let n = 2; used.has(name); n++) name = `${wanted}#${n}`;
  used.add(name);
  return name;
}

/** Equal content gives equal text; 96 bits are plenty for what lives in one process. */
export function contentHash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 24);
}
