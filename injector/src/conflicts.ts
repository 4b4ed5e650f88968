/** What in a pod cannot live beside an agent: each is a refusal with the place and the way out, never a silent skip. */
import { agentUid, containers, reservedPorts, volumes } from '@chainmail/runtime';
import { allContainers, type Container, type Pod, type PodSpec } from './pod.ts';
import { handlerFields, handlerPort, readHandler } from './probes.ts';

/** All conflicts of a pod that has none of our parts; empty when it can be injected. */
export function conflicts(pod: Pod): readonly string[] {
  const { spec } = pod;
  return [
    ...allContainers(spec).flatMap(({ container, path }) => [
      ...nameConflicts(container, path),
      ...uidConflicts(container, path, spec),
      ...portConflicts(container, path),
      ...mountConflicts(container, path),
    ]),
    ...volumeConflicts(spec),
  ];
}

function nameConflicts(container: Container, path: string): readonly string[] {
  const taken = Object.values(containers).some((name) => name === container.name);
  return taken ? [`${path}.name: '${container.name}' is the name of a container that injection adds; rename it`] : [];
}

/** The rules let this uid pass, so an application under it would have neither identity nor policy. */
function uidConflicts(container: Container, path: string, spec: PodSpec): readonly string[] {
  const own = container.securityContext?.runAsUser;
  const uid = own ?? spec.securityContext?.runAsUser;
  if (uid !== agentUid) return [];
  const at = own === undefined ? 'spec.securityContext.runAsUser' : `${path}.securityContext.runAsUser`;
  return [`${at}: container '${container.name}' runs as uid ${agentUid}, which is the agent's; choose another`];
}

function portConflicts(container: Container, path: string): readonly string[] {
  const isReserved = (port: number | undefined): boolean =>
    port !== undefined && port >= reservedPorts.first && port <= reservedPorts.last;
  const message = (at: string, port: number | undefined): string =>
    `${at}: ${port} is in ${reservedPorts.first}-${reservedPorts.last}, which is reserved for the agent; use another port`;
  const declared = (container.ports ?? []).flatMap(({ containerPort }, i) =>
    isReserved(containerPort) ? [message(`${path}.ports[${i}].containerPort`, containerPort)] : [],
  );
  const probed = handlerFields.flatMap((field) => {
    const port = handlerPort(readHandler(container, field), container);
    return isReserved(port) ? [message(`${path}.${field.join('.')}`, port)] : [];
  });
  return [...declared, ...probed];
}

/** A mount of a volume that only injection defines would hand the agent's token or key to the application. */
function mountConflicts(container: Container, path: string): readonly string[] {
  return (container.volumeMounts ?? []).flatMap(({ name }, i) =>
    isOurVolume(name)
      ? [`${path}.volumeMounts[${i}].name: volume '${name}' is the agent's alone; remove the mount`]
      : [],
  );
}

function volumeConflicts(spec: PodSpec): readonly string[] {
  return (spec.volumes ?? []).flatMap(({ name }, i) =>
    isOurVolume(name)
      ? [`spec.volumes[${i}].name: '${name}' is the name of a volume that injection adds; rename it`]
      : [],
  );
}

function isOurVolume(name: string): boolean {
  return Object.values(volumes).some((v) => v === name);
}
