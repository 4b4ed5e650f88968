/** Which copies of a request go where: the mirror policies of its route, as it is sent. */
import type { Head } from '../http1/head.ts';
import type { MirrorSpec } from '../model/http.ts';
import { ownIpv4 } from './client-address.ts';
import type { Exchange } from './exchange.ts';
import { type BodyPart, Shadow, type ShadowedRequest } from './shadow.ts';

/** Null when there is none this time. onAbandoned: a copy was given up. */
export function startShadows(
  mirrors: readonly MirrorSpec[],
  x: Exchange,
  request: Omit<ShadowedRequest, 'head' | 'downstreamProtocol' | 'destination'>,
  first: BodyPart,
  onAbandoned: () => void,
): readonly Shadow[] | null {
  const { runtime } = x.manager;
  const { info, protocol: downstreamProtocol } = x.downstream;
  const shadows: Shadow[] = [];
  for (const mirror of mirrors) {
    if (mirror.fraction !== null && runtime.random() >= mirror.fraction) continue;
    const name = mirror.clusterHeader === '' ? mirror.cluster : (x.requestHead.get(mirror.clusterHeader) ?? '');
    const cluster = runtime.cluster(name);
    if (cluster === undefined) continue;
    const destination = { ip: info.localIp, port: info.localPort };
    const whole = { ...request, head: x.requestHead, downstreamProtocol, destination };
    const shadow = new Shadow(cluster, whole, runtime, onAbandoned);
    markAsShadow(shadow.requestHead, mirror.hostSuffix);
    shadow.start(first);
    shadows.push(shadow);
  }
  return shadows.length === 0 ? null : shadows;
}

/** As Envoy's own client sends it: the host says that it is a copy, and the request comes from this proxy. */
function markAsShadow(head: Head, hostSuffix: boolean): void {
  const host = head.get('host');
  if (host !== null && hostSuffix) head.set('host', shadowHost(host));
  head.set('x-envoy-internal', 'true');
  const before = head.getAll('x-forwarded-for').join(',');
  head.set('x-forwarded-for', before === '' ? ownIpv4() : `${before},${ownIpv4()}`);
}

/** `a.example:80` is `a.example-shadow:80`. */
export function shadowHost(host: string): string {
  const port = /:[0-9]+$/.exec(host)?.[0] ?? '';
  return `${host.slice(0, host.length - port.length)}-shadow${port}`;
}
