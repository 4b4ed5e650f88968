/** Envoy's RBAC rules (config.rbac.v3) as plain data. Policies are evaluated in the order of their names. */
import type { HeaderMatchSpec } from './http.ts';
import type { StringMatchSpec } from './tls.ts';

export interface RbacSpec {
  readonly action: 'allow' | 'deny' | 'log';
  readonly policies: readonly RbacPolicySpec[];
}

export interface RbacPolicySpec {
  readonly name: string;
  /** Any of them. */
  readonly permissions: readonly PermissionSpec[];
  /** Any of them. */
  readonly principals: readonly PrincipalSpec[];
}

export type PermissionSpec =
  | { readonly kind: 'any' }
  | { readonly kind: 'and' | 'or'; readonly of: readonly PermissionSpec[] }
  | { readonly kind: 'not'; readonly of: PermissionSpec }
  | { readonly kind: 'header'; readonly header: HeaderMatchSpec }
  | { readonly kind: 'url_path'; readonly path: StringMatchSpec }
  | { readonly kind: 'destination_ip'; readonly cidr: string }
  /** [start, end), as Envoy's Int32Range; a single port p is [p, p + 1). */
  | { readonly kind: 'destination_port'; readonly start: number; readonly end: number }
  | { readonly kind: 'requested_server_name'; readonly name: StringMatchSpec };

export type PrincipalSpec =
  | { readonly kind: 'any' }
  | { readonly kind: 'and' | 'or'; readonly of: readonly PrincipalSpec[] }
  | { readonly kind: 'not'; readonly of: PrincipalSpec }
  /** name null: any verified peer. */
  | { readonly kind: 'authenticated'; readonly name: StringMatchSpec | null }
  | { readonly kind: 'direct_remote_ip' | 'remote_ip'; readonly cidr: string }
  | { readonly kind: 'header'; readonly header: HeaderMatchSpec }
  | { readonly kind: 'url_path'; readonly path: StringMatchSpec };
