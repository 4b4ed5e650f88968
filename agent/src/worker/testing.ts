/** Specs and certificates for tests that run an engine on loopback. */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ClusterSpec, EndpointsSpec } from '../model/cluster.ts';
import type { FilterChainMatchSpec, FilterChainSpec, ListenerSpec, TcpProxySpec } from '../model/listener.ts';
import { defaultCluster, defaultEndpoint } from '../model/testing/specs.ts';
import type { SecretSpec, TlsCommonSpec, UpstreamTlsSpec } from '../model/tls.ts';
import { clusterBlockSlots } from '../stats/layout.ts';
import { emptyUpdate } from './config-state.ts';

export { emptyUpdate };

export const anyMatch: FilterChainMatchSpec = {
  destinationPort: null,
  prefixRanges: [],
  serverNames: [],
  transportProtocol: '',
  applicationProtocols: [],
  sourceType: 'any',
  sourcePrefixRanges: [],
  sourcePorts: [],
};

/** Where the blocks of the tests' listeners, proxies and clusters begin. */
export const slotsAt = {
  listener: 500,
  tcp: 200,
  rbac: 300,
  proxyProto: 400,
  listenerFilters: 450,
  cluster: 1000,
} as const;

export function tcpProxy(cluster: string, more: Partial<TcpProxySpec> = {}): TcpProxySpec {
  return {
    kind: 'tcp_proxy',
    statPrefix: 'test',
    stats: slotsAt.tcp,
    clusters: [{ name: cluster, weight: 1 }],
    idleTimeoutMs: 3_600_000,
    maxConnectAttempts: 1,
    maxConnectionDurationMs: 0,
    flushLogOnConnected: false,
    logIntervalMs: 0,
    accessLog: [],
    ...more,
  };
}

export function chain(key: string, cluster: string, more: Partial<FilterChainSpec> = {}): FilterChainSpec {
  return {
    key,
    name: key,
    match: anyMatch,
    tls: null,
    transportSocketConnectTimeoutMs: 15_000,
    rbac: [],
    terminal: tcpProxy(cluster),
    ...more,
  };
}

export function listener(chains: readonly FilterChainSpec[], more: Partial<ListenerSpec> = {}): ListenerSpec {
  return {
    name: 'test',
    statPrefix: 'test',
    stats: slotsAt.listener,
    addresses: [{ ip: '127.0.0.1', port: 0 }],
    direction: 'inbound',
    originalDst: false,
    proxyProtocol: null,
    tlsInspector: false,
    httpInspector: false,
    listenerFiltersTimeoutMs: 15_000,
    continueOnListenerFiltersTimeout: false,
    bufferLimitBytes: 1_048_576,
    backlog: 128,
    chains,
    defaultChain: null,
    ...more,
  };
}

export function cluster(name: string, index: number, more: Partial<ClusterSpec> = {}): ClusterSpec {
  return defaultCluster({ name, stats: slotsAt.cluster + index * clusterBlockSlots, proxyProtocol: null, ...more });
}

export function endpoints(clusterName: string, ...ports: readonly number[]): EndpointsSpec {
  return {
    cluster: clusterName,
    endpoints: ports.map((port) => defaultEndpoint({ ip: '127.0.0.1', port })),
  };
}

export const meshTls: TlsCommonSpec = {
  minVersion: 'TLSv1_3',
  maxVersion: 'TLSv1_3',
  ciphers: '',
  groups: '',
  alpn: ['chainmail'],
  certificates: ['default'],
  trustedCa: 'trust-bundle',
  subjectAltNames: [],
  requireSvid: true,
};

export function upstreamTls(key: string, uri: string | null, more: Partial<UpstreamTlsSpec> = {}): UpstreamTlsSpec {
  const names = uri === null ? [] : [{ type: 'uri', match: { kind: 'exact', value: uri, ignoreCase: false } } as const];
  return { ...meshTls, key, sni: '', autoSni: false, subjectAltNames: names, ...more };
}

/** A CA made with the openssl command, for certificates good and bad. */
export class TestCa {
  readonly #dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chainmail-engine-'));
  #serial = 0;

  constructor() {
    this.#run('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2');
  }

  #run(...args: readonly string[]): void {
    const extra = [
      ...['-subj', '/O=test', '-keyout', 'ca.key', '-out', 'ca.pem'],
      ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
    ];
    execFileSync('openssl', [...args, ...extra], { cwd: this.#dir, stdio: 'pipe' });
  }

  get trust(): SecretSpec {
    const bundlePem = fs.readFileSync(path.join(this.#dir, 'ca.pem'), 'utf8');
    return { name: 'trust-bundle', kind: 'trust', bundlePem };
  }

  /** A leaf with these SANs (openssl's syntax). Dates as openssl's -not_before takes them. */
  leaf(
    san: string,
    more: { readonly expired?: boolean; readonly usage?: string; readonly name?: string; readonly rsa?: boolean } = {},
  ): {
    readonly name: string;
    readonly kind: 'certificate';
    readonly chainPem: string;
    readonly keyPem: string;
  } {
    const id = `leaf${this.#serial++}`;
    const file = (name: string): string => path.join(this.#dir, name);
    const extensions = [
      `subjectAltName=critical,${san}`,
      `keyUsage=${more.usage ?? 'critical,digitalSignature'}`,
      'extendedKeyUsage=serverAuth,clientAuth',
      'basicConstraints=critical,CA:FALSE',
    ];
    fs.writeFileSync(file(`${id}.ext`), `${extensions.join('\n')}\n`);
    const openssl = (...args: readonly string[]): void => {
      execFileSync('openssl', args, { cwd: this.#dir, stdio: 'pipe' });
    };
    if (more.rsa === true) openssl('genrsa', '-out', `${id}.key`, '2048');
    else openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${id}.key`);
    openssl('req', '-new', '-key', `${id}.key`, '-subj', '/CN=x', '-out', `${id}.csr`);
    const days = more.expired === true ? '-1' : '1';
    openssl(
      ...['x509', '-req', '-in', `${id}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-days', days],
      ...['-extfile', `${id}.ext`, '-out', `${id}.pem`],
    );
    return {
      name: more.name ?? 'default',
      kind: 'certificate',
      chainPem: fs.readFileSync(file(`${id}.pem`), 'utf8'),
      keyPem: fs.readFileSync(file(`${id}.key`), 'utf8'),
    };
  }

  /** A revocation list of the CA with these certificates. */
  crl(...revoked: readonly { readonly chainPem: string }[]): string {
    const lines = revoked.map(({ chainPem }) => {
      const serial = new X509Certificate(chainPem).serialNumber;
      return `R\t400101000000Z\t250101000000Z\t${serial}\tunknown\t/CN=x\n`;
    });
    const file = (name: string, text: string): void => fs.writeFileSync(path.join(this.#dir, name), text);
    file('index.txt', lines.join(''));
    file('crl.cnf', '[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ndefault_md=sha256\ndefault_crl_days=1\n');
    const options = ['-config', 'crl.cnf', '-keyfile', 'ca.key', '-cert', 'ca.pem'];
    return execFileSync('openssl', ['ca', '-gencrl', ...options], { cwd: this.#dir, stdio: 'pipe' }).toString();
  }

  remove(): void {
    fs.rmSync(this.#dir, { recursive: true, force: true });
  }
}
