/** Assembly of the CA process: authority, attestor, service, own identity, server, published bundle. */

import type { TrustBundle, WorkloadIdentity } from '@chainmail/pki';
import { type Clock, type Logger, messageOf, UserError } from '@chainmail/runtime';
import type { Attestor } from './attestor.ts';
import { AuditLog } from './audit.ts';
import { CertificateAuthority } from './authority.ts';
import { publishBundle } from './bundle-file.ts';
import { CsrService } from './csr-service.ts';
import { startGrpcServer } from './grpc-server.ts';
import { type PublishedFigures, startMetricsServer } from './metrics-server.ts';
import { createOwnIdentity } from './own-identity.ts';
import type { CaStore } from './store.ts';
import type { TtlRules } from './ttl.ts';

export interface CaOptions {
  readonly store: CaStore;
  readonly attestor: Attestor;
  readonly trustDomain: string;
  /** host:port; port 0 takes a free one. */
  readonly listen: string;
  /** Absent: no health and metrics server. */
  readonly metricsListen?: string;
  readonly ttl: TtlRules;
  readonly bundleFile?: string;
  /** Takes every bundle that is to be published, the first one included. */
  readonly publish?: (bundle: TrustBundle) => void;
  /** Takes every audit record beside the log. */
  readonly keepAudit?: (record: Readonly<Record<string, unknown>>) => void;
  /** Whether others can use the CA, beside its own certificate. */
  readonly isReady?: () => boolean;
  readonly published?: () => PublishedFigures;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface RunningCa {
  readonly authority: CertificateAuthority;
  readonly identity: WorkloadIdentity;
  readonly address: string;
  readonly metricsAddress: string | undefined;
  /** Not ready from now on, while it goes on serving. */
  leave(): void;
  close(): Promise<void>;
}

/** A rotation started elsewhere is taken over within this time. */
const reloadEveryMs = 2000;

/** Follows the store: publishes the bundle and offers it to the own identity whenever it changes. */
function followStore(options: CaOptions, authority: CertificateAuthority, identity: WorkloadIdentity): () => void {
  const { clock, log, bundleFile } = options;
  let stopped = false;
  let timer = clock.after(reloadEveryMs, tick);
  let published = authority.bundle;
  async function refresh(): Promise<void> {
    await authority.reload();
    const { bundle } = authority;
    if (bundle.sequence === published.sequence) return;
    if (bundleFile !== undefined) await publishBundle(bundleFile, bundle);
    options.publish?.(bundle);
    identity.offerBundle(bundle);
    published = bundle;
    log.info({ sequence: bundle.sequence, anchors: bundle.anchors.length }, 'trust bundle changed');
  }
  function tick(): void {
    refresh()
      .catch((error: unknown) => log.error({ reason: messageOf(error) }, 'could not read the CA state'))
      .finally(() => {
        if (!stopped) timer = clock.after(reloadEveryMs, tick);
      });
  }
  return () => {
    stopped = true;
    timer.cancel();
  };
}

/** Without a certificate of its own the CA can serve nobody, and nobody else will help it. */
function certifyItself(identity: WorkloadIdentity): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = identity.subscribe((event) => {
      if (event.type !== 'rotated' && event.type !== 'renewal-failed') return;
      end();
      if (event.type === 'rotated') resolve();
      else reject(new UserError('CA_OWN_IDENTITY', `the CA cannot certify itself: ${event.reason}`));
    });
    identity.start();
  });
}

/** What has been opened so far; closed in reverse when a later step fails or the CA stops. */
class OpenParts {
  readonly #closers: (() => void | Promise<void>)[] = [];

  add(close: () => void | Promise<void>): void {
    this.#closers.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }
}

async function assemble(options: CaOptions, parts: OpenParts): Promise<Omit<RunningCa, 'close'>> {
  const { store, attestor, trustDomain, ttl, clock, log, bundleFile, metricsListen } = options;
  const authority = await CertificateAuthority.open(store, trustDomain, clock);
  const audit = new AuditLog(log, clock, options.keepAudit);
  const identity = createOwnIdentity({ authority, audit, ttlSeconds: ttl.defaultSeconds, clock, log });
  parts.add(() => identity.stop());
  await certifyItself(identity);
  if (bundleFile !== undefined) await publishBundle(bundleFile, authority.bundle);
  options.publish?.(authority.bundle);
  let serving = false;
  const isReady = (): boolean => serving && options.isReady?.() !== false;
  parts.add(() => {
    serving = false;
  });
  const { published } = options;
  const observed = { authority, audit, identity, isReady, ...(published === undefined ? {} : { published }) };
  const metrics = metricsListen === undefined ? undefined : await startMetricsServer(metricsListen, observed);
  if (metrics !== undefined) parts.add(() => metrics.close());
  const service = new CsrService({ authority, attestor, ttl, audit, clock, log });
  const server = await startGrpcServer(options.listen, service, identity);
  parts.add(() => server.close());
  parts.add(followStore(options, authority, identity));
  serving = true;
  const leave = (): void => {
    serving = false;
  };
  return { leave, authority, identity, address: server.address, metricsAddress: metrics?.address };
}

/** Serves until closed. @throws UserError when the state, the bundle file or an address cannot be used. */
export async function startCa(options: CaOptions): Promise<RunningCa> {
  const parts = new OpenParts();
  try {
    const ca = await assemble(options, parts);
    const { address, metricsAddress, authority } = ca;
    const { trustDomain, sequence } = authority.bundle;
    options.log.info({ address, metricsAddress, trustDomain, sequence }, 'ready');
    return { ...ca, close: () => parts.close() };
  } catch (error) {
    await parts.close();
    throw error;
  }
}
