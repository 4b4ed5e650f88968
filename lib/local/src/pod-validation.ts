/** What this machine cannot run is refused with the field's path, never ignored. Pure. */
import type { Container, Handler, PodSpec } from './pod.ts';
import { isSidecar } from './pod.ts';

const volumeKinds = ['emptyDir', 'configMap', 'secret', 'projected', 'downwardAPI', 'hostPath'];

function handlerErrors(handler: Handler | undefined, at: string): string[] {
  if (handler === undefined) return [];
  if (handler.grpc !== undefined)
    return [`${at}.grpc: grpc probes run in meshed pods only, where the agent makes them`];
  const kinds = [handler.httpGet, handler.tcpSocket, handler.exec, handler.sleep].filter((k) => k !== undefined);
  return kinds.length === 1 ? [] : [`${at}: needs one of httpGet, tcpSocket, exec`];
}

function containerErrors(c: Container, at: string, spec: PodSpec): string[] {
  const missing = (c.volumeMounts ?? []).filter((m) => !(spec.volumes ?? []).some((v) => v.name === m.name));
  const writable = (c.volumeMounts ?? []).filter(
    (m) => m.readOnly !== true && spec.volumes?.some((v) => v.name === m.name && v.hostPath !== undefined),
  );
  return [
    ...(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(c.name ?? '') ? [] : [`${at}.name: not a DNS label`]),
    ...missing.map((m) => `${at}.volumeMounts: the pod has no volume ${m.name}`),
    ...writable.map((m) => `${at}.volumeMounts: ${m.name} is a hostPath, which must be mounted with readOnly: true`),
    ...handlerErrors(c.livenessProbe, `${at}.livenessProbe`),
    ...handlerErrors(c.readinessProbe, `${at}.readinessProbe`),
    ...handlerErrors(c.startupProbe, `${at}.startupProbe`),
    ...handlerErrors(c.lifecycle?.preStop, `${at}.lifecycle.preStop`),
    ...handlerErrors(c.lifecycle?.postStart, `${at}.lifecycle.postStart`),
  ];
}

/** Reasons against running the pod; empty when it can run. */
export function podErrors(spec: PodSpec): string[] {
  if (!Array.isArray(spec?.containers) || spec.containers.length === 0) return ['spec.containers: missing'];
  const init = spec.initContainers ?? [];
  const names = [...spec.containers, ...init].map((c) => c.name);
  const twice = names.filter((n, i) => names.indexOf(n) !== i);
  return [
    ...(spec.hostNetwork === true ? ['spec.hostNetwork: the network of this machine is never given to a pod'] : []),
    ...twice.map((n) => `spec: two containers are named ${n}`),
    ...(spec.volumes ?? []).flatMap((v, i) => {
      const kind = volumeKinds.find((k) => k in v);
      return kind === undefined ? [`spec.volumes[${i}] ${v.name}: only ${volumeKinds.join(', ')} exist here`] : [];
    }),
    ...spec.containers.flatMap((c, i) => containerErrors(c, `spec.containers[${i}]`, spec)),
    ...init.flatMap((c, i) => [
      ...containerErrors(c, `spec.initContainers[${i}]`, spec),
      ...(c.restartPolicy === undefined || isSidecar(c)
        ? []
        : [`spec.initContainers[${i}].restartPolicy: only Always`]),
    ]),
  ];
}
