/** Assembly of the CA process: authority, attestor, service, own identity, server, published bundle. */

import type { WorkloadIdentity } from '@chainmail/pki';
import { type Clock, type Logger, messageOf, UserError } from '@chainmail/runtime';
import type { Attestor } from './attestor.ts';
import { AuditLog } from './audit.ts';
import { CertificateAuthority } from './authority.ts';
import { publishBundle } from './bundle-file.ts';
import { CsrService } from './csr-service.ts';
import { startGrpcServer } from './grpc-server.ts';
import { createOwnIdentity } from './own-identity.ts';
import type { CaStore } from './store.ts';
import type { TtlRules } from './ttl.ts';

export interface CaOptions {
  readonly store: CaStore;
  readonly attestor: Attestor;
  readonly trustDomain: string;
  /** host:port; port 0 takes a free one. */
  readonly listen: string;
  readonly ttl: TtlRules;
  readonly bundleFile?: string;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface RunningCa {
  readonly authority: CertificateAuthority;
  readonly identity: WorkloadIdentity;
  readonly address: string;
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

/** Serves until closed. @throws UserError when the state, the bundle file or the address cannot be used. */
export async function startCa(options: CaOptions): Promise<RunningCa> {
  const { store, attestor, trustDomain, ttl, clock, log, bundleFile } = options;
  const authority = await CertificateAuthority.open(store, trustDomain, clock);
  const audit = new AuditLog(log, clock);
  const identity = createOwnIdentity({ authority, audit, ttlSeconds: ttl.defaultSeconds, clock, log });
  try {
    await certifyItself(identity);
    if (bundleFile !== undefined) await publishBundle(bundleFile, authority.bundle);
    const service = new CsrService({ authority, attestor, ttl, audit, clock, log });
    const server = await startGrpcServer(options.listen, service, identity);
    const unfollow = followStore(options, authority, identity);
    log.info({ address: server.address, trustDomain, sequence: authority.bundle.sequence }, 'ready');
    const close = async (): Promise<void> => {
      unfollow();
      await server.close();
      identity.stop();
    };
    return { authority, identity, address: server.address, close };
  } catch (error) {
    identity.stop();
    throw error;
  }
}
