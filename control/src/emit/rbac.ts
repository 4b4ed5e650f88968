/** Denials as Envoy's RBAC: action DENY, one policy each, whose name the proxy reports when it refuses. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { reservedPorts } from '@chainmail/runtime';
import type { FilterSchema } from '@chainmail/xds/proto/envoy/config/listener/v3/listener_components';
import {
  PermissionSchema,
  type Policy,
  PolicySchema,
  type Principal,
  PrincipalSchema,
  RBAC_Action,
  type RBACSchema as RulesSchema,
} from '@chainmail/xds/proto/envoy/config/rbac/v3/rbac';
import { RBACSchema as HttpRbacSchema } from '@chainmail/xds/proto/envoy/extensions/filters/http/rbac/v3/rbac';
import type { HttpFilterSchema } from '@chainmail/xds/proto/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { RBACSchema as NetworkRbacSchema } from '@chainmail/xds/proto/envoy/extensions/filters/network/rbac/v3/rbac';
import type { StringMatcherSchema } from '@chainmail/xds/proto/envoy/type/matcher/v3/string';
import type { Denial } from '../translate/authorization.ts';
import type { Expression } from '../translate/expression.ts';
import { pack } from './any.ts';

type Identifier = NonNullable<MessageInitShape<typeof PrincipalSchema>['identifier']>;
type Text = MessageInitShape<typeof StringMatcherSchema>;

const exactly = (value: string): Text => ({ matchPattern: { case: 'exact', value } });

function path(match: 'exact' | 'prefix' | 'regex', value: string): Text {
  switch (match) {
    case 'exact':
      return exactly(value);
    case 'prefix':
      return { matchPattern: { case: 'prefix', value } };
    case 'regex':
      return { matchPattern: { case: 'safeRegex', value: { regex: value } } };
  }
}

const authenticated = (principalName: Text): Identifier => ({ case: 'authenticated', value: { principalName } });

const header = (name: string, value: string | undefined): Identifier => ({
  case: 'header',
  value: {
    name,
    headerMatchSpecifier:
      value === undefined ? { case: 'presentMatch', value: true } : { case: 'stringMatch', value: exactly(value) },
  },
});

function identifier(e: Expression): Identifier {
  switch (e.is) {
    case 'always':
      return { case: 'any', value: true };
    case 'never':
      return { case: 'notId', value: { identifier: { case: 'any', value: true } } };
    case 'all':
      return { case: 'andIds', value: { ids: e.of.map(principal) } };
    case 'any':
      return { case: 'orIds', value: { ids: e.of.map(principal) } };
    case 'not':
      return { case: 'notId', value: principal(e.of) };
    case 'identity':
      return authenticated(exactly(e.exact));
    case 'identity-below':
      return authenticated({ matchPattern: { case: 'prefix', value: e.prefix } });
    case 'client-address':
      return { case: 'directRemoteIp', value: { addressPrefix: e.address, prefixLen: e.bits } };
    case 'method':
      return header(':method', e.method);
    case 'path':
      return { case: 'urlPath', value: { rule: { case: 'path', value: path(e.match, e.value) } } };
    case 'header':
      return header(e.name, e.value);
  }
}

function principal(e: Expression): Principal {
  return create(PrincipalSchema, { identifier: identifier(e) });
}

const everything = create(PermissionSchema, { rule: { case: 'any', value: true } });

function rulesOf(
  denials: readonly Denial[],
  more: Readonly<Record<string, Policy>> = {},
): MessageInitShape<typeof RulesSchema> {
  const named = new Map<string, Principal[]>();
  for (const d of denials) named.set(d.policy, [...(named.get(d.policy) ?? []), principal(d.when)]);
  const policies: Record<string, Policy> = { ...more };
  for (const [name, principals] of [...named].sort(([a], [b]) => (a < b ? -1 : 1))) {
    policies[name] = create(PolicySchema, { permissions: [everything], principals });
  }
  return { action: RBAC_Action.DENY, policies };
}

/** None where nothing is refused. */
export function httpRbac(denials: readonly Denial[]): MessageInitShape<typeof HttpFilterSchema>[] {
  if (denials.length === 0) return [];
  const value = pack(HttpRbacSchema, { rules: rulesOf(denials) });
  return [{ name: 'envoy.filters.http.rbac', configType: { case: 'typedConfig', value } }];
}

/** The agent's own ports, reached through the mesh, would lead it into itself. */
const reserved: Readonly<Record<string, Policy>> = {
  'reserved-ports': create(PolicySchema, {
    permissions: [
      {
        rule: { case: 'destinationPortRange', value: { start: reservedPorts.first, end: reservedPorts.last + 1 } },
      },
    ],
    principals: [{ identifier: { case: 'any', value: true } }],
  }),
};

/** @param guardReserved for a chain that takes any port. */
export function networkRbac(
  statPrefix: string,
  denials: readonly Denial[],
  guardReserved = false,
): MessageInitShape<typeof FilterSchema>[] {
  if (denials.length === 0 && !guardReserved) return [];
  const value = pack(NetworkRbacSchema, { statPrefix, rules: rulesOf(denials, guardReserved ? reserved : {}) });
  return [{ name: 'envoy.filters.network.rbac', configType: { case: 'typedConfig', value } }];
}
