/**
 * What the connection manager does to a request before any filter sees it: hop-by-hop headers away, path and host in
 * their one form, who the client is, ids. Reads in Envoy's order of effects. Invariant: what a filter, a route and the
 * upstream see is the same text.
 */
import { type Head, pathMark } from '../http1/head.ts';
import { method, token } from '../http1/known-headers.ts';
import { isWord } from '../http1/parse-head.ts';
import { rejected } from '../http1/rejection.ts';
import { countStat } from '../http2/counters.ts';
import { settleClientAddress } from './client-address.ts';
import { settleClientCertificate } from './client-certificate.ts';
import type { ClientOrigin } from './client-origin.ts';
import { addUserAgent, appendVia } from './forwarding-headers.ts';
import { applyEdits } from './header-mutations.ts';
import type { Manager } from './manager.ts';
import { normalizePath } from './path-normalization.ts';
import type { Request } from './request.ts';
import { setRequestId } from './request-id.ts';
import type { LogRecord } from './request-view.ts';

export type Settled =
  | { readonly kind: 'ok' }
  | { readonly kind: 'rejected'; readonly code: number }
  | { readonly kind: 'redirect'; readonly path: string }
  /** The client's address was asked of a header that does not hold one. */
  | { readonly kind: 'undetected'; readonly status: number };

const ok: Settled = { kind: 'ok' };
const badConnection: Settled = { kind: 'rejected', code: rejected.badConnectionHeader };
const underscore: Settled = { kind: 'rejected', code: rejected.underscore };
const fragment: Settled = { kind: 'rejected', code: rejected.fragment };
const badPath: Settled = { kind: 'rejected', code: rejected.badPath };

/**
 * Edits the head of a request that was just parsed. upgrade: it asks for a protocol that is not h2c. record is for
 * headers whose value depends on the request.
 */
export function settleRequest(request: Request, manager: Manager, upgrade: boolean, record: LogRecord): Settled {
  const { head } = request;
  const { spec } = manager;
  if (!dropHopByHop(head, upgrade)) return badConnection;
  if (spec.rejectUnderscoreHeaders !== 'allow' && !settleUnderscores(request, spec.rejectUnderscoreHeaders, manager)) {
    return underscore;
  }
  const path = settlePath(request, manager);
  if (path !== ok) return path;
  settleHost(request, manager);
  if (manager.earlyMutations !== null) {
    applyEdits(manager.earlyMutations, head, record);
    request.forget();
  }
  if (manager.origin === null) {
    dropRouterHeaders(head, spec.useRemoteAddress);
    settleClientAddress(request, spec, manager.ownAddress);
    if (spec.useRemoteAddress) head.set('x-envoy-external-address', request.remoteIp);
  } else {
    const status = settleOrigin(request, manager, manager.origin);
    if (status !== 0) return { kind: 'undetected', status };
  }
  if (manager.userAgent !== null) addUserAgent(head, manager.userAgent);
  if (manager.via !== '') appendVia(head, manager.via);
  settleRequestId(request, manager);
  if (spec.forwardClientCert !== 'sanitize' || head.has(token['x-forwarded-client-cert'])) {
    settleClientCertificate(head, spec, request.connection);
  }
  return ok;
}

/** Some servers take `_` and `-` in names for the same. False when the request is to be refused for one. */
function settleUnderscores(
  { head, protocol }: Request,
  action: 'reject' | 'drop',
  { http2Counters }: Manager,
): boolean {
  for (let i = 0; i < head.count; i++) {
    if (head.isRemoved(i) || !head.name(i).includes('_')) continue;
    if (action === 'reject') return false;
    head.removeAt(i);
    if (protocol === 'HTTP/2') countStat(http2Counters, 'dropped_headers_with_underscores', 1);
  }
  return true;
}

function maskOf(...tokens: readonly number[]): readonly [low: number, high: number] {
  let low = 0;
  let high = 0;
  for (const t of tokens) {
    if (t < 32) low |= 1 << t;
    else high |= 1 << (t - 32);
  }
  return [low, high];
}

const hopByHop = [
  token.connection,
  token['keep-alive'],
  token['proxy-connection'],
  token['transfer-encoding'],
  token.upgrade,
  token['http2-settings'],
] as const;
const [hopLow] = maskOf(...hopByHop, token.te);

/** Headers of this connection only (RFC 9110 section 7.6.1). False when Connection names one that may not go. */
function dropHopByHop(head: Head, upgrade: boolean): boolean {
  if ((head.seenLow & hopLow) === 0) return true;
  if (head.connectionNames && !dropNamed(head)) return false;
  if (head.has(token.te)) keepTrailersOnly(head);
  if (upgrade) {
    head.remove(token['keep-alive']);
    head.remove(token['proxy-connection']);
    head.set('connection', 'upgrade');
    return true;
  }
  for (const t of hopByHop) head.remove(t);
  return true;
}

const trailersWord = new TextEncoder().encode('trailers');
const listElement = /[^\s,]+/g;
/** Set by proxies on the way, or deciding about the message itself: no peer may have them dropped behind our back. */
const protectedName =
  /^(?::.*|host|content-length|transfer-encoding|forwarded|x-forwarded-.*|x-envoy-.*|x-chainmail-.*|x-request-id)$/;
const ownWords: ReadonlySet<string> = new Set(['close', 'keep-alive', 'upgrade', 'te', 'http2-settings']);

function dropNamed(head: Head): boolean {
  for (const list of head.getAll('connection')) {
    for (const [word] of list.toLowerCase().matchAll(listElement)) {
      if (ownWords.has(word)) continue;
      if (protectedName.test(word)) return false;
      head.removeName(word);
    }
  }
  return true;
}

function keepTrailersOnly(head: Head): void {
  if (saysTrailers(head)) return;
  const trailers = head.getAll('te').some((v) => v.split(',').some((w) => w.trim().toLowerCase() === 'trailers'));
  if (trailers) head.set('te', 'trailers');
  else head.remove(token.te);
}

/** What gRPC clients send with every call: one field with this one word. */
function saysTrailers(head: Head): boolean {
  const index = head.find(token.te);
  if (index < 0 || head.find(token.te, index + 1) >= 0) return false;
  return isWord(head.bytes, head.valueStart(index), head.valueEnd(index), trailersWord);
}

function settlePath(request: Request, manager: Manager): Settled {
  const { head } = request;
  if ((head.pathMarks & pathMark.fragment) !== 0) return fragment;
  const suspects = manager.pathMarks & head.pathMarks;
  if (suspects === 0 || head.bytes[head.targetStart] !== 47) return ok;
  const before = request.path;
  const result = normalizePath(before, manager.spec);
  if (result.kind === 'reject') return badPath;
  if (result.kind === 'redirect') return result;
  if (result.path !== before) {
    head.setTarget(result.path);
    request.forget();
  }
  return ok;
}

/** Which marks make a path worth a second look under these rules; a backslash always is. */
export function pathMarksOf(rules: Manager['spec']): number {
  let marks: number = pathMark.backslash;
  if (rules.escapedSlashes !== 'keep' || rules.normalizePath) marks |= pathMark.percent;
  if (rules.normalizePath) marks |= pathMark.dotAfterSlash;
  if (rules.mergeSlashes) marks |= pathMark.doubleSlash;
  return marks;
}

/** An absolute target's authority becomes the Host; ports go as configured. */
function settleHost(request: Request, manager: Manager): void {
  const { head } = request;
  if (head.authorityEnd > head.authorityStart && head.find(token.host) < 0) {
    head.add('host', head.text(head.authorityStart, head.authorityEnd));
  }
  if (head.targetStart === head.queryStart && head.authorityEnd > 0) {
    head.setTarget(`/${request.path}`);
    request.forget();
  }
  const { stripPort } = manager.spec;
  if (manager.spec.stripTrailingHostDot === true) stripTrailingDot(request);
  // A CONNECT is nothing without its port.
  if (stripPort === 'none' || head.method === method.CONNECT) return;
  const port = /:([0-9]+)$/.exec(request.authority)?.[1];
  if (port === undefined || (stripPort === 'matching' && Number(port) !== request.connection.localPort)) return;
  head.set('host', request.authority.slice(0, -port.length - 1));
  request.forget();
}

/** `a.example.` and `a.example.:80` are `a.example` and `a.example:80`. */
function stripTrailingDot(request: Request): void {
  const host = request.authority.replace(/\.(?=(?::[0-9]+)?$)/, '');
  if (host === request.authority) return;
  request.head.set('host', host);
  request.forget();
}

/** Wishes of an external caller to the router: none of our callers is internal in Envoy's sense. */
const routerHeaders = [
  token['x-envoy-internal'],
  token['x-envoy-expected-rq-timeout-ms'],
  token['x-envoy-retry-on'],
  token['x-envoy-retry-grpc-on'],
  token['x-envoy-max-retries'],
  token['x-envoy-retriable-status-codes'],
  token['x-envoy-retriable-header-names'],
  token['x-envoy-upstream-rq-timeout-ms'],
  token['x-envoy-upstream-rq-per-try-timeout-ms'],
  token['x-envoy-upstream-rq-timeout-alt-response'],
  token['x-envoy-upstream-alt-stat-name'],
  token['x-envoy-hedge-on-per-try-timeout'],
  token['x-envoy-is-timeout-retry'],
  token['x-envoy-force-trace'],
  token['x-envoy-ip-tags'],
  token['x-envoy-original-url'],
] as const;
const edgeHeaders = [
  token['x-envoy-downstream-service-cluster'],
  token['x-envoy-downstream-service-node'],
  token['x-envoy-decorator-operation'],
] as const;
const [routerLow, routerHigh] = maskOf(...routerHeaders, ...edgeHeaders);

function dropRouterHeaders(head: Head, useRemoteAddress: boolean): void {
  if ((head.seenLow & routerLow) === 0 && (head.seenHigh & routerHigh) === 0) return;
  for (const t of routerHeaders) head.remove(t);
  if (useRemoteAddress) for (const t of edgeHeaders) head.remove(t);
}

/** The same with the rarer settings; the status to refuse the request with, or 0. */
function settleOrigin(request: Request, manager: Manager, origin: ClientOrigin): number {
  const { head } = request;
  const { spec } = manager;
  const single = origin.isSingle(request, spec.useRemoteAddress);
  settleClientAddress(request, spec, manager.ownAddress);
  const status = origin.settle(request, single);
  if (status !== 0) return status;
  if (head.has(token['x-envoy-internal'])) head.remove(token['x-envoy-internal']);
  if (request.internal) head.add('x-envoy-internal', 'true');
  else {
    dropRouterHeaders(head, spec.useRemoteAddress);
    if (spec.useRemoteAddress) head.set('x-envoy-external-address', request.remoteIp);
  }
  return 0;
}

function settleRequestId(request: Request, manager: Manager): void {
  const { spec } = manager;
  const { head } = request;
  if (head.find(token['x-request-id']) >= 0) {
    if (!spec.useRemoteAddress || spec.preserveExternalRequestId || request.internal) return;
    if (!spec.generateRequestId) head.remove(token['x-request-id']);
  }
  if (spec.generateRequestId) setRequestId(head, manager.runtime.random);
}
