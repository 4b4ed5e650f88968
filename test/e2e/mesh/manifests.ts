/** The objects of the mesh suite: small, each there for a test. Namespace alpha is STRICT, beta PERMISSIVE. */

const app = (extra: string): string => `
      containers:
        - name: app
          image: example.org/app
          command: [node, /opt/chainmail/test/e2e/mesh/app.ts]
          ports:
            - { name: http, containerPort: 8080 }
            - { name: brief, containerPort: 8081 }
            - { name: grpc, containerPort: 8082 }
            - { name: greet, containerPort: 9000 }
            - { name: tcp-sink, containerPort: 9001 }
          readinessProbe: { httpGet: { path: /healthz, port: http }, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 5 }${extra}`;

const account = (namespace: string, name: string): string => `
apiVersion: v1
kind: ServiceAccount
metadata: { name: ${name}, namespace: ${namespace} }
---`;

export function deployment(namespace: string, name: string, replicas: number, version = 'v1', extra = ''): string {
  return `${account(namespace, name)}
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata:
      labels: { app: ${name} }
      annotations: { chainmail.dev/exclude-inbound-ports: "9099" }
    spec:
      serviceAccountName: ${name}
      terminationGracePeriodSeconds: 5${app(`
          env: [{ name: VERSION, value: ${version} }]${extra}`)}
---`;
}

export const service = (namespace: string, name: string, spec: string): string => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec: { ${spec} }
---`;

const http = '{ name: http, port: 80, targetPort: http }';
const every = `ports: [${http}, { name: http-brief, port: 81, targetPort: brief }, { name: greet, port: 9000 }, { name: tcp-sink, port: 9001 }]`;

export const namespaces = `
apiVersion: v1
kind: Namespace
metadata: { name: alpha, labels: { chainmail.dev/inject: enabled } }
---
apiVersion: v1
kind: Namespace
metadata: { name: beta, labels: { chainmail.dev/inject: enabled } }
---
apiVersion: v1
kind: Namespace
metadata: { name: plain }
---
apiVersion: chainmail.dev/v1alpha1
kind: MeshPolicy
metadata: { name: permissive, namespace: beta }
spec: { mtls: { mode: PERMISSIVE } }
`;

export const workloads = [
  deployment('alpha', 'client', 1),
  deployment('alpha', 'echo', 1),
  service('alpha', 'echo', `selector: { app: echo }, ipFamilyPolicy: PreferDualStack, ${every}`),
  service('alpha', 'echo-pods', `selector: { app: echo }, clusterIP: None, ports: [{ name: http, port: 8080 }]`),
  service('alpha', 'routed', `selector: { app: echo }, ports: [${http}]`),
  service('alpha', 'guarded', `selector: { app: echo }, ports: [{ name: http, port: 80, targetPort: brief }]`),
  service('alpha', 'calls', `selector: { app: echo }, ports: [{ name: grpc, port: 82, targetPort: grpc }]`),
  service('alpha', 'roll', `selector: { app: roll }, ports: [${http}]`),
  deployment('beta', 'open', 1),
  service('beta', 'open', `selector: { app: open }, ports: [${http}]`),
  deployment('plain', 'outside', 1),
  service('plain', 'outside', `selector: { app: outside }, ports: [${http}]`),
].join('');

/** Changed by the tests of restarts: in a file of its own. */
export const roll = (version: string): string => deployment('alpha', 'roll', 2, version);

export const route = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: routed, namespace: alpha }
spec:
  parentRefs: [{ group: "", kind: Service, name: routed }]
  rules:
    - matches: [{ path: { type: PathPrefix, value: /v1 } }]
      filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /v2 } } }]
      backendRefs: [{ name: routed, port: 80 }]
    - matches: [{ headers: [{ name: x-canary, value: "yes" }] }]
      backendRefs: [{ name: roll, port: 80 }]
    - backendRefs: [{ name: routed, port: 80 }]
`;

/** A rule about paths on an HTTP/2 port. */
export const callsPolicy = `
apiVersion: chainmail.dev/v1alpha1
kind: SecurityPolicy
metadata: { name: calls, namespace: alpha }
spec:
  targetRefs: [{ group: "", kind: Service, name: calls }]
  authorization:
    defaultAction: Deny
    rules: [{ name: echo-only, action: Allow, operation: { paths: ["/echo/*"] } }]
`;

export const retries = (triggers: string): string => `
apiVersion: chainmail.dev/v1alpha1
kind: BackendTrafficPolicy
metadata: { name: echo, namespace: alpha }
spec:
  targetRefs: [{ group: "", kind: Service, name: echo }]
  retry: { numRetries: 2, retryOn: { triggers: [${triggers}] } }
`;

/** Service before namespace: the namespace denies DELETE, the Service has a rule of its own, without that. */
export const precedence = `
apiVersion: chainmail.dev/v1alpha1
kind: SecurityPolicy
metadata: { name: no-delete, namespace: alpha }
spec:
  authorization:
    defaultAction: Allow
    rules: [{ name: deletes, action: Deny, operation: { methods: [DELETE] } }]
---
apiVersion: chainmail.dev/v1alpha1
kind: SecurityPolicy
metadata: { name: guarded, namespace: alpha }
spec:
  targetRefs: [{ group: "", kind: Service, name: guarded }]
  authorization:
    defaultAction: Deny
    rules: [{ name: deletes-too, action: Allow, operation: { methods: [GET, DELETE] } }]
`;

export const guard = (method: string): string => `
apiVersion: chainmail.dev/v1alpha1
kind: SecurityPolicy
metadata: { name: guarded, namespace: alpha }
spec:
  targetRefs: [{ group: "", kind: Service, name: guarded }]
  authorization:
    defaultAction: Deny
    rules: [{ name: reads, action: Allow, operation: { methods: [${method}] } }]
`;
