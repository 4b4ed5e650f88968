/** The CA in a cluster: state in a Secret, tokens by TokenReview, the bundle in ConfigMaps. */
import { ApiClient, ApiError, type ClusterAccess } from '@chainmail/kube/cluster';
import { Backoff, type Lifecycle, type Logger, messageOf, systemClock } from '@chainmail/runtime';
import { AuditKeeper } from './audit-keeper.ts';
import { BundlePublisher } from './bundle-publisher.ts';
import { SecretStore } from './secret-store.ts';
import { TokenReviewAttestor } from './token-review-attestor.ts';

/** @throws UserError KUBE_CREDENTIALS */
export function openSecretStore(access: ClusterAccess): SecretStore {
  return new SecretStore(new ApiClient(access));
}

/** A process that ended because the API server was away would be restarted ever more slowly: it waits instead. */
async function reached(store: SecretStore, log: Logger): Promise<void> {
  const backoff = new Backoff({ baseMs: 250, maxMs: 5000 });
  for (let told = ''; ; ) {
    try {
      await store.load();
      return;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // a state that cannot be read is not mended by waiting
      if (error.message !== told) log.warn({ reason: messageOf(error) }, 'waiting for the API server');
      told = error.message;
      await new Promise((done) => setTimeout(done, backoff.next()));
    }
  }
}

/** What it opened is closed with the lifecycle. @throws UserError KUBE_CREDENTIALS, CA_STATE_INVALID */
export async function openCluster(access: ClusterAccess, life: Lifecycle, log: Logger) {
  const clock = systemClock;
  const client = new ApiClient(access, clock);
  life.onStop('API client', () => client.close());
  const keeper = new AuditKeeper(client, clock, log);
  life.onStop('audit', () => keeper.flush());
  const publisher = new BundlePublisher({ client, clock, log });
  life.onStop('bundle publisher', () => publisher.stop());
  publisher.start();
  log.info({ server: client.server }, 'state, tokens and bundle are with the API server');
  const store = new SecretStore(client);
  await reached(store, log);
  return {
    store,
    attestor: new TokenReviewAttestor(client),
    publish: (bundle: Parameters<BundlePublisher['offer']>[0]) => publisher.offer(bundle),
    keepAudit: (record: Readonly<Record<string, unknown>>) => keeper.add(record),
    isReady: () => publisher.isPublished,
    published: () => ({ namespaces: publisher.namespaceCount, ...publisher.counts }),
  };
}
