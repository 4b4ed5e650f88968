/**
 * The decision on one signing request, in the order that costs an attacker most and us least: rate, token, rate of
 * that caller, lifetime, request, signature. Invariant: the identity comes from the token alone; every way out is
 * audited.
 */
import { formatSpiffeId, type SpiffeId, workloadId } from '@chainmail/pki';
import { checkCsr } from '@chainmail/pki/authority';
import { type Clock, type Logger, system } from '@chainmail/runtime';
import type { Attestor, Caller } from './attestor.ts';
import type { AuditLog, RefusalCode } from './audit.ts';
import type { CertificateAuthority, Issued } from './authority.ts';
import { RateLimit } from './rate-limit.ts';
import { chooseTtl, type TtlRules } from './ttl.ts';

export interface CsrRequest {
  readonly csrPem: string;
  /** 0 takes the default. */
  readonly ttlSeconds: bigint;
  /** The values of the authorization header. */
  readonly authorization: readonly string[];
  /** Address and port of the connection. */
  readonly peer: string;
}

export type CsrOutcome =
  | { readonly ok: true; readonly issued: Issued }
  | { readonly ok: false; readonly code: RefusalCode; readonly reason: string };

export interface CsrServiceOptions {
  readonly authority: CertificateAuthority;
  readonly attestor: Attestor;
  readonly ttl: TtlRules;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Requests a second and at once: of everybody and of one address before authentication, of one workload after. */
export const rates = {
  everybody: { perSecond: 200, burst: 400 },
  address: { perSecond: 20, burst: 60 },
  caller: { perSecond: 1, burst: 20 },
} as const;

type Refused = Extract<CsrOutcome, { ok: false }>;
const refuse = (code: RefusalCode, reason: string): Refused => ({ ok: false, code, reason });

/** `<sa>.chainmail-system.svc`, for clients of the mesh's own servers that check names (the webhook's). */
export function dnsNamesOf(caller: Caller): string[] {
  if (caller.namespace !== system.namespace) return [];
  const { name } = caller.serviceAccount;
  const own: readonly string[] = [system.controlServiceAccount, system.caServiceAccount, system.injectorServiceAccount];
  if (!own.includes(name)) return [];
  const service = `${name}.${system.namespace}.svc`;
  return [service, `${service}.cluster.local`];
}

function readToken(authorization: readonly string[]): string | undefined {
  const [value, ...more] = authorization;
  return more.length > 0 ? undefined : /^Bearer ([^\s,]+)$/i.exec(value ?? '')?.[1];
}

const hostOf = (peer: string): string => peer.replace(/:\d+$/, '');

export class CsrService {
  readonly #options: CsrServiceOptions;
  readonly #everybody: RateLimit;
  readonly #byAddress: RateLimit;
  readonly #byCaller: RateLimit;

  constructor(options: CsrServiceOptions) {
    this.#options = options;
    this.#everybody = new RateLimit(rates.everybody, options.clock);
    this.#byAddress = new RateLimit(rates.address, options.clock);
    this.#byCaller = new RateLimit(rates.caller, options.clock);
  }

  /** Never rejects: what goes wrong here is `internal`, with the cause in the log only. */
  async handle(request: CsrRequest): Promise<CsrOutcome> {
    const seen: { caller?: string } = {};
    let outcome: CsrOutcome;
    try {
      outcome = await this.#decide(request, seen);
    } catch (error) {
      this.#options.log.error({ err: error }, 'could not decide on a signing request');
      outcome = refuse('internal', 'the CA failed; its log has the reason');
    }
    if (!outcome.ok) {
      const { code, reason } = outcome;
      this.#options.audit.refused({ code, reason, peer: request.peer, caller: seen.caller });
    }
    return outcome;
  }

  async #decide(request: CsrRequest, seen: { caller?: string }): Promise<CsrOutcome> {
    if (!this.#byAddress.take(hostOf(request.peer))) return refuse('rate-limited', 'too many requests of this address');
    if (!this.#everybody.take('')) return refuse('rate-limited', 'too many requests');
    const token = readToken(request.authorization);
    if (token === undefined) return refuse('unauthenticated', 'the call has no bearer token');
    const attested = await this.#options.attestor.attest(token);
    if (!attested.ok) return refuse(attested.code, attested.reason);
    const { caller } = attested;
    const id = workloadId(this.#options.authority.trustDomain, caller.namespace, caller.serviceAccount.name);
    seen.caller = formatSpiffeId(id);
    if (!this.#byCaller.take(`${seen.caller} ${caller.pod?.uid ?? ''}`)) {
      return refuse('rate-limited', 'too many requests of this workload');
    }
    return this.#sign(request, caller, id);
  }

  async #sign(request: CsrRequest, caller: Caller, id: SpiffeId): Promise<CsrOutcome> {
    const { authority, ttl, audit } = this.#options;
    const lifetime = chooseTtl(request.ttlSeconds, ttl);
    if (!lifetime.ok) return refuse('bad-ttl', lifetime.reason);
    const csr = checkCsr(request.csrPem);
    if (!csr.ok) return refuse('bad-request', `the certificate request: ${csr.reason}`);
    const { publicKey } = csr;
    const issued = await authority.issue({ id, publicKey, dnsNames: dnsNamesOf(caller), ttlSeconds: lifetime.seconds });
    audit.issued({
      spiffeId: formatSpiffeId(id),
      peer: request.peer,
      pod: caller.pod?.name,
      serial: issued.serial,
      leafSha256: issued.sha256,
      notAfterMs: issued.notAfterMs,
      bundleSequence: issued.bundle.sequence,
    });
    return { ok: true, issued };
  }
}
