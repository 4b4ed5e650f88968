/** What the router needs of a matched route, worked out once for each route and kept as long as the route lives. */

import { type StaticHeader, staticHeader } from '../http1/head.ts';
import type { RetrySpec, RouteActionSpec } from '../model/http.ts';
import type { MatchedRoute } from '../route/route-table.ts';
import { compileEdits, type FormatCompiler, type HeaderEdits } from './header-mutations.ts';

export interface CompiledRoute {
  readonly matched: MatchedRoute;
  readonly requestEdits: readonly HeaderEdits[] | null;
  readonly responseEdits: readonly HeaderEdits[] | null;
  readonly retry: RetrySpec | null;
  /** x-envoy-expected-rq-timeout-ms of a first attempt, or null when the route has no timeout. */
  readonly expectedTimeout: StaticHeader | null;
  readonly rewritesPath: boolean;
  readonly rewritesHost: boolean;
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
  };
  if (action.kind !== 'route') {
    return { ...edits, retry: null, expectedTimeout: null, rewritesPath: false, rewritesHost: false };
  }
  const retry = action.retry ?? matched.virtualHost.retry;
  return { ...edits, retry, expectedTimeout: expectedTimeout(action, retry), ...rewrites(action) };
}

function rewrites(action: RouteActionSpec): { readonly rewritesPath: boolean; readonly rewritesHost: boolean } {
  return {
    rewritesPath: action.prefixRewrite !== null || action.regexRewrite !== null,
    rewritesHost: action.hostRewrite !== null || action.hostRewriteHeader !== null || action.autoHostRewrite,
  };
}

function expectedTimeout(action: RouteActionSpec, retry: RetrySpec | null): StaticHeader | null {
  const ms = expectedTimeoutMs(action.timeoutMs, retry);
  return ms > 0 ? staticHeader('x-envoy-expected-rq-timeout-ms', String(ms)) : null;
}

/** The time one attempt has: the shorter of what is left of the route's timeout and the timeout for each try. */
export function expectedTimeoutMs(leftMs: number, retry: RetrySpec | null): number {
  const perTry = retry?.perTryTimeoutMs ?? 0;
  if (perTry === 0) return leftMs;
  return leftMs === 0 ? perTry : Math.min(leftMs, perTry);
}
