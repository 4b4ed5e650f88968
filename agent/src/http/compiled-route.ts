/** What the router needs of a matched route, worked out once for each route and kept as long as the route lives. */

import { type StaticHeader, staticHeader } from '../http1/head.ts';
import type { HeaderMutationsSpec, MirrorSpec, RetrySpec, RouteActionSpec } from '../model/http.ts';
import type { MatchedRoute } from '../route/route-table.ts';
import { compileOverrides, type RbacOverrides } from './filter-overrides.ts';
import { compileEdits, type FormatCompiler, type HeaderEdits } from './header-mutations.ts';
import { compileRequestHash, type RequestHash } from './request-hash.ts';
import { type AnswerMatch, compileAnswerMatch } from './retry-answer.ts';

export interface CompiledRoute {
  readonly matched: MatchedRoute;
  readonly requestEdits: readonly HeaderEdits[] | null;
  readonly responseEdits: readonly HeaderEdits[] | null;
  readonly retry: RetrySpec | null;
  /** x-envoy-expected-rq-timeout-ms of a first attempt, or null when the route has no timeout. */
  readonly expectedTimeout: StaticHeader | null;
  readonly rewritesPath: boolean;
  readonly rewritesHost: boolean;
  readonly retryAnswer: AnswerMatch | null;
  /** Of several clusters, where one of them has settings of its own; else null. */
  readonly byCluster: readonly CompiledRoute[] | null;
  /** Host that a weighted cluster gives without telling the one before, or null. */
  readonly clusterHost: string | null;
  readonly overrides: RbacOverrides | null;
  readonly hash: RequestHash | null;
  readonly bufferLimitBytes: number | null;
  /** Of the nearest level that has any; null for none. */
  readonly mirrors: readonly MirrorSpec[] | null;
}

export class RouteCompiler {
  readonly #compiled = new WeakMap<MatchedRoute, CompiledRoute>();
  readonly #compileFormat: FormatCompiler;

  constructor(compileFormat: FormatCompiler) {
    this.#compileFormat = compileFormat;
  }

  of(matched: MatchedRoute): CompiledRoute {
    let route = this.#compiled.get(matched);
    if (route === undefined) {
      route = compile(matched, this.#compileFormat);
      this.#compiled.set(matched, route);
    }
    return route;
  }
}

function compile(matched: MatchedRoute, compileFormat: FormatCompiler): CompiledRoute {
  const { action, mutations } = matched;
  const edits = {
    matched,
    requestEdits: compileEdits(mutations, 'request', compileFormat),
    responseEdits: compileEdits(mutations, 'response', compileFormat),
    overrides: compileOverrides(matched),
    clusterHost: null,
    bufferLimitBytes: matched.spec.bufferLimitBytes ?? matched.virtualHost.bufferLimitBytes ?? null,
  };
  if (action.kind !== 'route') {
    return { ...edits, ...unforwarded };
  }
  const retry = action.retry ?? matched.virtualHost.retry;
  return {
    ...edits,
    retry,
    retryAnswer: compileAnswerMatch(retry),
    expectedTimeout: expectedTimeoutOf(action, retry),
    byCluster: clustersOf(matched, action, compileFormat),
    hash: compileRequestHash(action.hashPolicy ?? []),
    mirrors: action.mirrors ?? matched.virtualHost.mirrors ?? matched.config.mirrors ?? null,
    ...rewrites(action),
  };
}

const unforwarded = {
  retry: null,
  retryAnswer: null,
  expectedTimeout: null,
  byCluster: null,
  hash: null,
  mirrors: null,
  rewritesPath: false,
  rewritesHost: false,
} as const;

/** A weighted cluster's headers are the innermost level; its host gives way to the route's. */
function clustersOf(
  matched: MatchedRoute,
  action: RouteActionSpec,
  compileFormat: FormatCompiler,
): readonly CompiledRoute[] | null {
  if (action.clusters.every((c) => isEmpty(c.headers) && !c.hostRewrite)) return null;
  return action.clusters.map((c) => {
    const levels = c.headers === undefined ? [] : [c.headers];
    const { mutations } = matched;
    const own = compile(
      {
        ...matched,
        action: { ...action, clusters: [{ name: c.name, weight: 1 }] },
        mutations: matched.config.mostSpecificWins === true ? [...mutations, ...levels] : [...levels, ...mutations],
      },
      compileFormat,
    );
    return { ...own, clusterHost: c.hostRewrite ?? null };
  });
}

function isEmpty(headers: HeaderMutationsSpec | undefined): boolean {
  if (headers === undefined) return true;
  const { requestAdd, requestRemove, responseAdd, responseRemove } = headers;
  return requestAdd.length + requestRemove.length + responseAdd.length + responseRemove.length === 0;
}

function rewrites(action: RouteActionSpec): { readonly rewritesPath: boolean; readonly rewritesHost: boolean } {
  return {
    rewritesPath: action.prefixRewrite !== null || action.regexRewrite !== null,
    rewritesHost:
      action.hostRewrite !== null ||
      (action.hostRewritePathRegex ?? null) !== null ||
      action.hostRewriteHeader !== null ||
      action.autoHostRewrite,
  };
}

export function expectedTimeoutOf(action: RouteActionSpec, retry: RetrySpec | null): StaticHeader | null {
  const ms = expectedTimeoutMs(action.timeoutMs, retry);
  return ms > 0 ? staticHeader('x-envoy-expected-rq-timeout-ms', String(ms)) : null;
}

/** The time one attempt has: the shorter of what is left of the route's timeout and the timeout for each try. */
export function expectedTimeoutMs(leftMs: number, retry: RetrySpec | null): number {
  const perTry = retry?.perTryTimeoutMs ?? 0;
  if (perTry === 0) return leftMs;
  return leftMs === 0 ? perTry : Math.min(leftMs, perTry);
}
