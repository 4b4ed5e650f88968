/** Envoy's RBAC rules. A matcher tree, CEL conditions, metadata and filter state are refused. */
import type { Permission, Policy, Principal, RBAC } from '@chainmail/xds/proto/envoy/config/rbac/v3/rbac';
import type { Int32Range } from '@chainmail/xds/proto/envoy/type/v3/range';
import type { PermissionSpec, PrincipalSpec, RbacPolicySpec, RbacSpec } from '../model/rbac.ts';
import { readCidr } from './address.ts';
import { type MessageReader, readMessage } from './message-reader.ts';
import { readHeaderMatch, readPathMatch, readStringMatch } from './string-match.ts';

const actions = { ALLOW: 'allow', DENY: 'deny', LOG: 'log' } as const;

/** Policies come out in the order of their names: that is how Envoy evaluates its map. */
export function readRbac(r: MessageReader<RBAC>): RbacSpec {
  const action = r.oneOf('action', actions);
  const policies = Object.entries(r.take('policies'))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, policy]) => readMessage(policy, `${r.at('policies')}[${name}]`, (p) => readPolicy(p, name)));
  return { action, policies };
}

function readPolicy(r: MessageReader<Policy>, name: string): RbacPolicySpec {
  return { name, permissions: r.each('permissions', readPermission), principals: r.each('principals', readPrincipal) };
}

function readPermission(r: MessageReader<Permission>): PermissionSpec {
  const rule = r.take('rule');
  switch (rule.case) {
    case 'any':
      return { kind: 'any' };
    case 'andRules':
      return { kind: 'and', of: r.within('andRules', rule.value, (s) => s.each('rules', readPermission)) };
    case 'orRules':
      return { kind: 'or', of: r.within('orRules', rule.value, (s) => s.each('rules', readPermission)) };
    case 'notRule':
      return { kind: 'not', of: r.within('notRule', rule.value, readPermission) };
    case 'header':
      return { kind: 'header', header: r.within('header', rule.value, readHeaderMatch) };
    case 'urlPath':
      return { kind: 'url_path', path: r.within('urlPath', rule.value, readPathMatch) };
    case 'destinationIp':
      return { kind: 'destination_ip', cidr: r.within('destinationIp', rule.value, readCidr) };
    case 'destinationPort':
      return { kind: 'destination_port', start: rule.value, end: rule.value + 1 };
    case 'destinationPortRange':
      return { kind: 'destination_port', ...r.within('destinationPortRange', rule.value, readRange) };
    case 'requestedServerName':
      return { kind: 'requested_server_name', name: r.within('requestedServerName', rule.value, readStringMatch) };
    case 'metadata':
    case 'matcher':
    case 'uriTemplate':
      throw r.unsupported(rule.case);
    case undefined:
      throw r.invalid('rule', 'is required');
  }
}

/** Half-open: the end is not part of it. */
function readRange(r: MessageReader<Int32Range>): { readonly start: number; readonly end: number } {
  return { start: r.take('start'), end: r.take('end') };
}

function readPrincipal(r: MessageReader<Principal>): PrincipalSpec {
  const id = r.take('identifier');
  switch (id.case) {
    case 'any':
      return { kind: 'any' };
    case 'andIds':
      return { kind: 'and', of: r.within('andIds', id.value, (s) => s.each('ids', readPrincipal)) };
    case 'orIds':
      return { kind: 'or', of: r.within('orIds', id.value, (s) => s.each('ids', readPrincipal)) };
    case 'notId':
      return { kind: 'not', of: r.within('notId', id.value, readPrincipal) };
    case 'authenticated':
      return r.within('authenticated', id.value, (a) => ({
        kind: 'authenticated',
        name: a.inside('principalName', readStringMatch) ?? null,
      }));
    case 'directRemoteIp':
      return { kind: 'direct_remote_ip', cidr: r.within('directRemoteIp', id.value, readCidr) };
    case 'remoteIp':
      return { kind: 'remote_ip', cidr: r.within('remoteIp', id.value, readCidr) };
    case 'header':
      return { kind: 'header', header: r.within('header', id.value, readHeaderMatch) };
    case 'urlPath':
      return { kind: 'url_path', path: r.within('urlPath', id.value, readPathMatch) };
    case 'sourceIp':
    case 'metadata':
    case 'filterState':
      throw r.unsupported(id.case);
    case undefined:
      throw r.invalid('identifier', 'is required');
  }
}
