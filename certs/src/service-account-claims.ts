/**
 * The claims of a projected Kubernetes service-account token. Invariant: every claim that names the caller is there,
 * of the right type, and agrees with the others; what is missing refuses.
 */
import { system } from '@chainmail/runtime';
import type { Attestation, BoundObject, Caller } from './attestor.ts';
import type { JsonObject } from './jwt.ts';

export interface ClaimRules {
  readonly issuer: string;
  readonly audience: string;
  readonly nowMs: number;
}

/** Issuers' clocks may run ahead by this; past its expiry no token is good. */
const skewSeconds = 30;

const isObject = (v: unknown): v is JsonObject => typeof v === 'object' && v !== null && !Array.isArray(v);
const isSeconds = (v: unknown): v is number => typeof v === 'number' && Number.isFinite(v);

/** RFC 1123, as Kubernetes validates names: a namespace is one label, other names may have dots. */
const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const subdomain = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const uidPattern = /^[A-Za-z0-9-]{1,128}$/;

export const isLabel = (v: unknown): v is string => typeof v === 'string' && label.test(v);
export const isSubdomain = (v: unknown): v is string => typeof v === 'string' && subdomain.test(v);
export const isUid = (v: unknown): v is string => typeof v === 'string' && uidPattern.test(v);

function timeProblem(claims: JsonObject, nowMs: number): string | undefined {
  const now = nowMs / 1000;
  const { exp, nbf, iat } = claims;
  if (!isSeconds(exp)) return 'the token has no expiry';
  if (now >= exp) return `the token expired at ${new Date(exp * 1000).toISOString()}`;
  if (!isSeconds(iat) || iat > now + skewSeconds) return 'the token has no time of issue, or one in the future';
  if (nbf !== undefined && (!isSeconds(nbf) || nbf > now + skewSeconds)) return 'the token is not valid yet';
  return undefined;
}

function audienceProblem(aud: unknown, wanted: string): string | undefined {
  const all = Array.isArray(aud) ? aud : [aud];
  return all.includes(wanted) ? undefined : `the token is not for audience ${wanted}`;
}

function readBound(value: unknown): BoundObject | undefined {
  if (!isObject(value)) return undefined;
  const { name, uid } = value;
  return isSubdomain(name) && isUid(uid) ? { name, uid } : undefined;
}

/** The mesh's own processes run as no pods on one machine; everybody else's token must be bound to a pod. */
function mayLackPod(namespace: string, serviceAccount: string): boolean {
  const own: readonly string[] = [system.controlServiceAccount, system.caServiceAccount, system.injectorServiceAccount];
  return namespace === system.namespace && own.includes(serviceAccount);
}

function readCaller(claims: JsonObject): Caller | string {
  const kubernetes = claims['kubernetes.io'];
  if (!isObject(kubernetes)) return 'the token has no kubernetes.io claims';
  const { namespace } = kubernetes;
  if (!isLabel(namespace)) return "the token's namespace is missing or invalid";
  const serviceAccount = readBound(kubernetes['serviceaccount']);
  if (serviceAccount === undefined) return "the token's service account is missing or invalid";
  if (claims['sub'] !== `system:serviceaccount:${namespace}:${serviceAccount.name}`) {
    return "the token's subject is not its service account";
  }
  const pod = readBound(kubernetes['pod']);
  if (kubernetes['pod'] !== undefined && pod === undefined) return "the token's pod is invalid";
  if (pod === undefined && !mayLackPod(namespace, serviceAccount.name)) return 'the token is not bound to a pod';
  return { namespace, serviceAccount, pod };
}

/** Checks the claims of a token whose signature holds. */
export function attestClaims(claims: JsonObject, rules: ClaimRules): Attestation {
  const refuse = (reason: string): Attestation => ({ ok: false, code: 'unauthenticated', reason });
  if (claims['iss'] !== rules.issuer) return refuse(`the token is not from issuer ${rules.issuer}`);
  const problem = audienceProblem(claims['aud'], rules.audience) ?? timeProblem(claims, rules.nowMs);
  if (problem !== undefined) return refuse(problem);
  const caller = readCaller(claims);
  return typeof caller === 'string' ? refuse(caller) : { ok: true, caller };
}
