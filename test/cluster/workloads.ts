/** Objects that suites make: small, with what a test varies as parameters. */
import { testImages } from './bed/images.ts';

export type Fields = Readonly<Record<string, unknown>>;

export const app: Fields = {
  name: 'app',
  image: testImages.app,
  command: ['node', '/app/server.ts'],
  ports: [
    { name: 'http', containerPort: 8080 },
    { name: 'tcp', containerPort: 9090 },
    { name: 'grpc', containerPort: 50_051 },
    { name: 'https', containerPort: 8443 },
  ],
};

/** Patient: a slow machine must not take replicas out of a Service. */
export const ready: Fields = {
  readinessProbe: {
    httpGet: { path: '/healthz', port: 'http' },
    periodSeconds: 1,
    timeoutSeconds: 10,
    failureThreshold: 5,
  },
};

/**
 * Kubernetes tells a pod to end and everybody else that it is going, at the same time: the application waits. Without
 * it a POST may meet a connection that the application is closing, and nobody may repeat that.
 */
export const lingering: Fields = { lifecycle: { preStop: { sleep: { seconds: 2 } } } };

/** Does nothing, so that commands can be run in it. */
export const idle: Fields = { name: 'app', image: testImages.app, command: ['sleep', '1000000'] };

export interface PodShape {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly container?: Fields;
  readonly spec?: Fields;
}

export function podTemplate(shape: PodShape = {}) {
  const { labels = {}, annotations = {}, container = { ...app, ...ready }, spec = {} } = shape;
  return {
    metadata: { labels, annotations },
    spec: { terminationGracePeriodSeconds: 5, containers: [container], ...spec },
  };
}

export function pod(name: string, shape: PodShape = {}) {
  const { metadata, spec } = podTemplate(shape);
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, ...metadata }, spec };
}

function withPods(kind: string, name: string, shape: PodShape, more: Fields) {
  const labels = { app: name };
  const template = podTemplate({ ...shape, labels: { ...labels, ...shape.labels } });
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name },
    spec: { selector: { matchLabels: labels }, template, ...more },
  };
}

export const deployment = (name: string, shape: PodShape = {}, replicas = 1) =>
  withPods('Deployment', name, shape, { replicas });

export const statefulSet = (name: string, shape: PodShape = {}, replicas = 1) =>
  withPods('StatefulSet', name, shape, { replicas, serviceName: name });

export const daemonSet = (name: string, shape: PodShape = {}) => withPods('DaemonSet', name, shape, {});

export function job(name: string, command: readonly string[], shape: PodShape = {}) {
  return { apiVersion: 'batch/v1', kind: 'Job', metadata: { name }, spec: jobSpec(command, shape) };
}

export function cronJob(name: string, command: readonly string[]) {
  const spec = { schedule: '* * * * *', jobTemplate: { spec: jobSpec(command, {}) } };
  return { apiVersion: 'batch/v1', kind: 'CronJob', metadata: { name }, spec };
}

function jobSpec(command: readonly string[], shape: PodShape) {
  const container = { name: 'app', image: testImages.app, command };
  const template = podTemplate({ container, ...shape, spec: { restartPolicy: 'Never', ...shape.spec } });
  return { backoffLimit: 0, template };
}

const httpPort = { name: 'http', port: 80, targetPort: 'http' };
const tcpPort = { name: 'tcp', port: 9090, targetPort: 'tcp' };

export function service(name: string, spec: Fields = {}, of: string = name) {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { app: of }, ports: [httpPort, tcpPort], ...spec },
  };
}

export function serviceAccount(name: string) {
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } };
}

export function meshPolicy(mode: 'STRICT' | 'PERMISSIVE') {
  return {
    apiVersion: 'chainmail.dev/v1alpha1',
    kind: 'MeshPolicy',
    metadata: { name: 'mode' },
    spec: { mtls: { mode } },
  };
}
