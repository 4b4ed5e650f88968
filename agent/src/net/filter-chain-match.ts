/**
 * Chooses a filter chain in Envoy's order: destination port, destination network, server name, transport protocol,
 * application protocols, source type, source network, source port. Each step takes the most specific entry there is
 * and never goes back to a less specific one. Compiled once into nested tables.
 */
import type { FilterChainMatchSpec } from '../model/listener.ts';
import { PrefixTable } from './prefix-table.ts';

/** What is known of a connection when its chain is chosen. */
export interface ConnectionFacts {
  readonly destinationIp: string;
  readonly destinationPort: number;
  readonly sourceIp: string;
  readonly sourcePort: number;
  /** '' when none was sent; lower case. */
  readonly serverName: string;
  readonly transportProtocol: 'tls' | 'raw_buffer';
  /** ALPN of TLS, or what the HTTP inspector found. */
  readonly applicationProtocols: readonly string[];
}

/** Which inspections can still change the choice for a destination. */
export interface Needs {
  readonly tls: boolean;
  readonly http: boolean;
}

type SourcePorts<T> = Map<number, T>;

class SourceNetworks<T> {
  readonly any: SourcePorts<T> = new Map();
  readonly table = new PrefixTable<SourcePorts<T>>();

  find(facts: ConnectionFacts): T | undefined {
    const ports = this.table.find(facts.sourceIp) ?? this.any;
    return ports.get(facts.sourcePort) ?? ports.get(0);
  }
}

class SourceTypes<T> {
  readonly types = new Map<FilterChainMatchSpec['sourceType'], SourceNetworks<T>>();

  find(facts: ConnectionFacts): T | undefined {
    const wanted = isLocal(facts) ? 'same_ip_or_loopback' : 'external';
    return (this.types.get(wanted) ?? this.types.get('any'))?.find(facts);
  }

  *chains(): Iterable<T> {
    for (const networks of this.types.values()) {
      for (const ports of [networks.any, ...networks.table.values()]) yield* ports.values();
    }
  }
}

type Applications<T> = Map<string, SourceTypes<T>>;
type Transports<T> = Map<string, Applications<T>>;
type ServerNames<T> = Map<string, Transports<T>>;

class Destinations<T> {
  /** Chains without prefix ranges. */
  readonly any: ServerNames<T> = new Map();
  readonly table = new PrefixTable<ServerNames<T>>();

  find(ip: string): ServerNames<T> {
    return this.table.find(ip) ?? this.any;
  }
}

function isLocal(facts: ConnectionFacts): boolean {
  const { sourceIp } = facts;
  return sourceIp === facts.destinationIp || sourceIp === '::1' || sourceIp.startsWith('127.');
}

function obtain<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

/** The values to enter: all that are given, or the one that stands for anything. */
function each<V>(values: readonly V[], anything: V): readonly V[] {
  return values.length > 0 ? values : [anything];
}

export class FilterChainMatcher<T> {
  readonly #ports = new Map<number, Destinations<T>>();
  readonly #noNames: ServerNames<T> = new Map();
  readonly #needs = new WeakMap<ServerNames<T>, Needs>();
  readonly #plaintext = new WeakMap<ServerNames<T>, readonly T[]>();
  readonly #otherwise: T | null;

  /** Of two chains with the same criteria the first wins; the compiler of the configuration refuses such. */
  constructor(chains: readonly { readonly match: FilterChainMatchSpec; readonly chain: T }[], otherwise: T | null) {
    this.#otherwise = otherwise;
    for (const { match, chain } of chains) this.#add(match, chain);
  }

  #add(match: FilterChainMatchSpec, chain: T): void {
    const destinations = obtain(this.#ports, match.destinationPort ?? 0, () => new Destinations<T>());
    for (const range of each(match.prefixRanges, '')) {
      const names: ServerNames<T> = range === '' ? destinations.any : destinations.table.obtain(range, () => new Map());
      for (const name of each(match.serverNames, '')) {
        // `*.example.com` is kept as `.example.com`, which no server name can be.
        const key = name.toLowerCase().replace(/^\*/, '');
        const transports: Transports<T> = obtain(names, key, () => new Map());
        const applications: Applications<T> = obtain(transports, match.transportProtocol, () => new Map());
        for (const application of each(match.applicationProtocols, '')) {
          this.#addSource(
            obtain(applications, application, () => new SourceTypes<T>()),
            match,
            chain,
          );
        }
      }
    }
  }

  #addSource(types: SourceTypes<T>, match: FilterChainMatchSpec, chain: T): void {
    const networks = obtain(types.types, match.sourceType, () => new SourceNetworks<T>());
    for (const range of each(match.sourcePrefixRanges, '')) {
      const ports: SourcePorts<T> = range === '' ? networks.any : networks.table.obtain(range, () => new Map());
      for (const port of each(match.sourcePorts, 0)) if (!ports.has(port)) ports.set(port, chain);
    }
  }

  /** The chain, the default chain, or null: then the connection is closed. */
  find(facts: ConnectionFacts): T | null {
    const transports = serverNameMatch(this.#names(facts.destinationIp, facts.destinationPort), facts.serverName);
    const applications = transports?.get(facts.transportProtocol) ?? transports?.get('');
    const types = applicationMatch(applications, facts.applicationProtocols);
    return types?.find(facts) ?? this.#otherwise;
  }

  #names(ip: string, port: number): ServerNames<T> {
    return (this.#ports.get(port) ?? this.#ports.get(0))?.find(ip) ?? this.#noNames;
  }

  /** Every chain that a plaintext connection to this destination can still get, whatever its first bytes. */
  plaintextCandidates(ip: string, port: number): readonly T[] {
    const names = this.#names(ip, port);
    let known = this.#plaintext.get(names);
    if (known === undefined) {
      known = this.#plaintextChains(names);
      this.#plaintext.set(names, known);
    }
    return known;
  }

  #plaintextChains(names: ServerNames<T>): readonly T[] {
    const chains = new Set<T>(this.#otherwise === null ? [] : [this.#otherwise]);
    for (const transports of names.values()) {
      for (const [transport, applications] of transports) {
        if (transport === 'tls') continue;
        for (const types of applications.values()) for (const chain of types.chains()) chains.add(chain);
      }
    }
    return [...chains];
  }

  /** What must be inspected before the choice for this destination is certain. */
  needs(ip: string, port: number): Needs {
    const names = this.#names(ip, port);
    let needs = this.#needs.get(names);
    if (needs === undefined) {
      needs = needsOf(names);
      this.#needs.set(names, needs);
    }
    return needs;
  }
}

function needsOf<T>(names: ServerNames<T>): Needs {
  let tls = [...names.keys()].some((name) => name !== '');
  let http = false;
  for (const transports of names.values()) {
    for (const [transport, applications] of transports) {
      if (transport !== '') tls = true;
      if (![...applications.keys()].some((a) => a !== '')) continue;
      tls = true;
      if (transport !== 'tls') http = true;
    }
  }
  return { tls, http };
}

/** Exact, then the longest `*.` suffix, then chains that name no server. */
function serverNameMatch<T>(names: ServerNames<T>, serverName: string): Transports<T> | undefined {
  if (serverName === '') return names.get('');
  const exact = names.get(serverName);
  if (exact !== undefined) return exact;
  for (let dot = serverName.indexOf('.', 1); dot > 0; dot = serverName.indexOf('.', dot + 1)) {
    const suffix = names.get(serverName.slice(dot));
    if (suffix !== undefined) return suffix;
  }
  return names.get('');
}

function applicationMatch<T>(
  applications: Applications<T> | undefined,
  protocols: readonly string[],
): SourceTypes<T> | undefined {
  for (const protocol of protocols) {
    const found = protocol === '' ? undefined : applications?.get(protocol);
    if (found !== undefined) return found;
  }
  return applications?.get('');
}
