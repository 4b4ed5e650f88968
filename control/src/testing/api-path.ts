/** Where an object of a kind that control reads stands on an API server. */
import type { KubeObject } from '@chainmail/kube';

const resources: Readonly<Record<string, string>> = {
  Namespace: 'namespaces',
  Pod: 'pods',
  Service: 'services',
  EndpointSlice: 'endpointslices',
  HTTPRoute: 'httproutes',
  MeshPolicy: 'meshpolicies',
  SecurityPolicy: 'securitypolicies',
  BackendTrafficPolicy: 'backendtrafficpolicies',
};

export function apiPath({ apiVersion, kind, metadata }: KubeObject): string {
  const resource = resources[kind];
  if (resource === undefined) throw new Error(`control reads no ${kind}`);
  const base = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
  const scope = kind === 'Namespace' ? '' : `/namespaces/${metadata.namespace}`;
  return `${base}${scope}/${resource}/${metadata.name}`;
}
