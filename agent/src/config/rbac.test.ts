import test from 'ava';
import { hcm, type Json, listenerOf, listenerWith, router, tcpProxy, types } from './testing/compile.ts';

const policies = {
  b: { permissions: [{ any: true }], principals: [{ authenticated: {} }] },
  a: {
    permissions: [
      { and_rules: { rules: [{ url_path: { path: { exact: '/x' } } }, { not_rule: { destination_port: 80 } }] } },
    ],
    principals: [
      { or_ids: { ids: [{ authenticated: { principal_name: { exact: 'spiffe://x' } } }, { not_id: { any: true } }] } },
    ],
  },
};

function httpRbac(rules: Json): Json {
  const filter = { name: 'rbac', typed_config: { '@type': types.httpRbac, rules } };
  return listenerWith([hcm({ http_filters: [filter, router] })]);
}

test('policies in the order of their names, rules as plain data', (t) => {
  const { spec } = listenerOf(httpRbac({ action: 'DENY', policies }));
  const terminal = spec.chains[0]?.terminal;
  const filter = terminal?.kind === 'http_connection_manager' ? terminal.filters[0] : undefined;
  t.deepEqual(filter?.kind === 'rbac' ? filter.rules : undefined, {
    action: 'deny',
    policies: [
      {
        name: 'a',
        permissions: [
          {
            kind: 'and',
            of: [
              { kind: 'url_path', path: { kind: 'exact', value: '/x', ignoreCase: false } },
              { kind: 'not', of: { kind: 'destination_port', start: 80, end: 81 } },
            ],
          },
        ],
        principals: [
          {
            kind: 'or',
            of: [
              { kind: 'authenticated', name: { kind: 'exact', value: 'spiffe://x', ignoreCase: false } },
              { kind: 'not', of: { kind: 'any' } },
            ],
          },
        ],
      },
      { name: 'b', permissions: [{ kind: 'any' }], principals: [{ kind: 'authenticated', name: null }] },
    ],
  });
});

test('a network filter before the proxy', (t) => {
  const rbac = { name: 'r', typed_config: { '@type': types.networkRbac, stat_prefix: 'p.', rules: { policies: {} } } };
  const { spec } = listenerOf(listenerWith([rbac, tcpProxy()]));
  t.like(spec.chains[0]?.rbac[0], { statPrefix: 'p', rules: { action: 'allow', policies: [] }, shadowRules: null });
});

const at = 'filter_chains[0].filters[0].typed_config.http_filters[0].typed_config.rules.policies[p]';
const one = (permission: Json, principal: Json = { any: true }): Json =>
  httpRbac({ policies: { p: { permissions: [permission], principals: [principal] } } });

const refused: readonly (readonly [string, Json, string])[] = [
  [
    'metadata',
    one({ metadata: { filter: 'x', path: [{ key: 'a' }], value: { present_match: true } } }),
    `${at}.permissions[0].metadata: not implemented by this agent (field of envoy.config.rbac.v3.Permission)`,
  ],
  [
    'source_ip',
    one({ any: true }, { source_ip: { address_prefix: '10.0.0.0', prefix_len: 8 } }),
    `${at}.principals[0].source_ip: not implemented by this agent (field of envoy.config.rbac.v3.Principal)`,
  ],
  [
    'a network that is none',
    one({ any: true }, { remote_ip: { address_prefix: '10.0.0.0', prefix_len: 33 } }),
    `${at}.principals[0].remote_ip.prefix_len: 33 is too long for 10.0.0.0`,
  ],
];

for (const [what, json, message] of refused) {
  test(`${what} is refused by path and name`, (t) => {
    t.is(t.throws(() => listenerOf(json))?.message, message);
  });
}
