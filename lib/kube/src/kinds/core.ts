/**
 * The part of Kubernetes' own kinds that we read. Open shapes: an API server knows more fields than we do, and has
 * checked them already.
 */
import { anything, bool, type Infer, integer, list, map, object, oneOf, text, textOr } from '../schema/schema.ts';
import { metadata, namespacedMetadata } from './meta.ts';

const open = { open: true } as const;
const port = integer(0, 65535);
const transport = oneOf('TCP', 'UDP', 'SCTP');

export const namespace = object({ apiVersion: oneOf('v1'), kind: oneOf('Namespace'), metadata }, {}, open);
export type Namespace = Infer<typeof namespace>;

export const serviceAccount = object(
  { apiVersion: oneOf('v1'), kind: oneOf('ServiceAccount'), metadata: namespacedMetadata },
  {},
  open,
);
export type ServiceAccount = Infer<typeof serviceAccount>;

export const configMap = object(
  { apiVersion: oneOf('v1'), kind: oneOf('ConfigMap'), metadata: namespacedMetadata },
  { data: map(text({ maxLength: 1_048_576 })) },
  open,
);
export type ConfigMap = Infer<typeof configMap>;

const container = object(
  { name: text() },
  {
    image: text(),
    command: list(text({ maxLength: 131_072 })),
    args: list(text({ maxLength: 131_072 })),
    restartPolicy: text(),
    ports: list(object({ containerPort: port }, { name: text(), protocol: transport, hostPort: port }, open)),
  },
  open,
);
export type Container = Infer<typeof container>;

const podSpec = object(
  { containers: list(container) },
  { initContainers: list(container), serviceAccountName: text(), hostNetwork: bool, nodeName: text() },
  open,
);
export type PodSpec = Infer<typeof podSpec>;

const condition = object({ type: text(), status: text() }, {}, open);

export const pod = object(
  { apiVersion: oneOf('v1'), kind: oneOf('Pod'), metadata: namespacedMetadata, spec: podSpec },
  {
    status: object(
      {},
      {
        phase: text(),
        podIP: text(),
        podIPs: list(object({ ip: text() }, {}, open)),
        conditions: list(condition),
      },
      open,
    ),
  },
  open,
);
export type Pod = Infer<typeof pod>;

export const deployment = object(
  {
    apiVersion: oneOf('apps/v1'),
    kind: oneOf('Deployment'),
    metadata: namespacedMetadata,
    spec: object(
      {
        selector: object({}, { matchLabels: map(text()) }, open),
        template: object(
          { spec: podSpec },
          { metadata: object({}, { labels: map(text()), annotations: map(text({ maxLength: 262_144 })) }, open) },
          open,
        ),
      },
      { replicas: integer(0, 100_000) },
      open,
    ),
  },
  {},
  open,
);
export type Deployment = Infer<typeof deployment>;

const targetPort = textOr(
  text({ noun: 'the name of a container port', pattern: /^[a-z0-9-]{1,63}$/ }),
  integer(0, 65535),
);

export const service = object(
  {
    apiVersion: oneOf('v1'),
    kind: oneOf('Service'),
    metadata: namespacedMetadata,
    spec: object(
      {},
      {
        type: oneOf('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'),
        clusterIP: text(),
        clusterIPs: list(text()),
        selector: map(text()),
        publishNotReadyAddresses: bool,
        ports: list(
          object(
            { port: integer(1, 65535) },
            { name: text(), protocol: transport, appProtocol: text(), targetPort, nodePort: port },
            open,
          ),
        ),
      },
      open,
    ),
  },
  {},
  open,
);
export type Service = Infer<typeof service>;

export const endpointSlice = object(
  {
    apiVersion: oneOf('discovery.k8s.io/v1'),
    kind: oneOf('EndpointSlice'),
    metadata: namespacedMetadata,
    addressType: oneOf('IPv4', 'IPv6', 'FQDN'),
    endpoints: list(
      object(
        { addresses: list(text(), { min: 1 }) },
        {
          conditions: object({}, { ready: bool, serving: bool, terminating: bool }, open),
          targetRef: object({}, { kind: text(), name: text(), namespace: text() }, open),
          nodeName: text(),
          zone: text(),
        },
        open,
      ),
      { max: 1000 },
    ),
  },
  {
    ports: list(object({}, { name: text(), port, protocol: transport, appProtocol: text() }, open)),
    hints: anything,
  },
  open,
);
export type EndpointSlice = Infer<typeof endpointSlice>;
