/** Headers that say through whom a request has come: `via`, and the names of this proxy that add_user_agent adds. */
import { type Head, type StaticHeader, staticHeader } from '../http1/head.ts';
import { token } from '../http1/known-headers.ts';
import type { HttpConnectionManagerSpec } from '../model/http.ts';

export interface UserAgent {
  readonly cluster: string;
  readonly userAgent: StaticHeader;
  readonly node: string;
}

export function compileUserAgent(spec: NonNullable<HttpConnectionManagerSpec['userAgent']>): UserAgent {
  return { cluster: spec.cluster, userAgent: staticHeader('user-agent', spec.cluster), node: spec.node };
}

export function addUserAgent(head: Head, names: UserAgent): void {
  head.set('x-envoy-downstream-service-cluster', names.cluster);
  const index = head.find(token['user-agent']);
  if (index < 0) head.addStatic(names.userAgent);
  else if (head.value(index) === '') head.setValue(index, names.cluster);
  if (names.node !== '') head.set('x-envoy-downstream-service-node', names.node);
}

/** Appends to the first `via`, as Envoy does. */
export function appendVia(head: Head, via: string): void {
  const index = head.findName('via');
  if (index < 0) head.add('via', via);
  else head.setValue(index, `${head.value(index)}, ${via}`);
}
