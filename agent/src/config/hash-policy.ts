/** hash_policy of a route: what of a request decides its host under consistent hashing. */
import type { RouteAction_HashPolicy } from '@chainmail/xds/proto/envoy/config/route/v3/route_components';
import type { HashPolicySpec } from '../model/http.ts';
import type { MessageReader } from './message-reader.ts';
import { readRewrite } from './rewrite.ts';

export function readHashPolicy(r: MessageReader<RouteAction_HashPolicy>): HashPolicySpec {
  const terminal = r.take('terminal');
  const policy = r.take('policySpecifier');
  switch (policy.case) {
    case 'header':
      return r.within('header', policy.value, (h) => ({
        kind: 'header',
        terminal,
        name: h.take('headerName').toLowerCase(),
        rewrite: h.inside('regexRewrite', readRewrite) ?? null,
      }));
    case 'cookie':
      return r.within('cookie', policy.value, (c) => {
        const ttlMs = c.durationMs('ttl');
        return {
          kind: 'cookie',
          terminal,
          name: c.take('name'),
          ttlS: ttlMs === undefined ? null : Math.floor(ttlMs / 1000),
          path: c.take('path'),
          attributes: c.each('attributes', (a) => ({ name: a.take('name'), value: a.take('value') })),
        };
      });
    case 'connectionProperties':
      return r.within('connectionProperties', policy.value, (c) => {
        if (!c.take('sourceIp')) throw c.invalid('sourceIp', 'is the only property there is');
        return { kind: 'source_ip', terminal };
      });
    case 'queryParameter':
      return r.within('queryParameter', policy.value, (q) => ({ kind: 'query', terminal, name: q.take('name') }));
    case 'filterState':
      throw r.unsupported('filterState');
    case undefined:
      throw r.invalid('policySpecifier', 'is required');
  }
}
