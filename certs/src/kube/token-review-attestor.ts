/**
 * Attests tokens by the API server's TokenReview. Invariant: a caller is its token's service account and pod only when
 * the server says so for OUR audience and the pod is there now; whatever is missing or of the wrong shape refuses.
 */
import { isRecord, type KubeObject } from '@chainmail/kube';
import type { ApiClient } from '@chainmail/kube/cluster';
import { tokenAudience } from '@chainmail/runtime';
import type { Attestation, Attestor, BoundObject, Caller } from '../attestor.ts';
import { livePodFault } from '../live-pods.ts';
import { isLabel, isSubdomain, isUid } from '../service-account-claims.ts';

const reviews = '/apis/authentication.k8s.io/v1/tokenreviews';
const userPrefix = 'system:serviceaccount:';
const podName = 'authentication.kubernetes.io/pod-name';
const podUid = 'authentication.kubernetes.io/pod-uid';
/** A projected token has one to two kilobytes. */
const maxTokenLength = 16 * 1024;
const timeoutMs = 5000;

const unauthenticated = (reason: string): Attestation => ({ ok: false, code: 'unauthenticated', reason });

/** The only value of an extra: several would be several pods. */
function extra(user: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const all = isRecord(user['extra']) ? user['extra'][name] : undefined;
  return Array.isArray(all) && all.length === 1 && typeof all[0] === 'string' ? all[0] : undefined;
}

function podOf(user: Readonly<Record<string, unknown>>): BoundObject | undefined {
  const [name, uid] = [extra(user, podName), extra(user, podUid)];
  return isSubdomain(name) && isUid(uid) ? { name, uid } : undefined;
}

/** Who the review says the bearer is, or why that cannot be accepted. */
export function callerOf(review: unknown): Caller | string {
  const status = isRecord(review) ? review['status'] : undefined;
  if (!isRecord(status)) return 'the API server gave no status for the token';
  if (status['authenticated'] !== true) return 'the API server does not know the token';
  const { audiences, user } = status;
  // A server that knows no audiences leaves the list out, and then the token may be for anybody.
  if (!Array.isArray(audiences) || !audiences.includes(tokenAudience)) {
    return `the token is not for audience ${tokenAudience}`;
  }
  if (!isRecord(user) || typeof user['username'] !== 'string') return 'the token has no user';
  if (!user['username'].startsWith(userPrefix)) return 'the token is of no service account';
  const [namespace, name, ...more] = user['username'].slice(userPrefix.length).split(':');
  if (!isLabel(namespace) || !isSubdomain(name) || more.length > 0) return "the token's service account is invalid";
  if (!isUid(user['uid'])) return "the token's service account has no uid";
  const pod = podOf(user);
  if (pod === undefined) return 'the token is not bound to a pod';
  return { namespace, serviceAccount: { name, uid: user['uid'] }, pod };
}

export class TokenReviewAttestor implements Attestor {
  readonly #client: Pick<ApiClient, 'request' | 'get'>;

  constructor(client: Pick<ApiClient, 'request' | 'get'>) {
    this.#client = client;
  }

  async attest(token: string): Promise<Attestation> {
    if (token.length > maxTokenLength) return unauthenticated('the token is too long');
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: [tokenAudience] },
    };
    const review = await this.#client.request({ method: 'POST', path: reviews, body, timeoutMs });
    const caller = callerOf(review);
    if (typeof caller === 'string') return unauthenticated(caller);
    const { namespace, pod } = caller;
    const found: KubeObject | undefined = await this.#client.get(`/api/v1/namespaces/${namespace}/pods/${pod?.name}`);
    const reason = livePodFault(found, caller);
    return reason === undefined ? { ok: true, caller } : { ok: false, code: 'not-live', reason };
  }
}
