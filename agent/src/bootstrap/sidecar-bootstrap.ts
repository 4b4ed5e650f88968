/**
 * The Envoy bootstrap of a sidecar: an ADS server reached over the mesh's own mutual TLS, and the admin interface.
 * Pure, so that what a pod runs with can be looked at, and given to a real Envoy.
 */
import { formatSpiffeId, workloadId } from '@chainmail/pki';
import { agentEnv, ports, system, xdsNames } from '@chainmail/runtime';
import { isIP } from '../sys/ip-text.ts';
import type { SidecarSettings } from './sidecar-settings.ts';

type Json = Readonly<Record<string, unknown>>;

export function sidecarBootstrap(settings: SidecarSettings): Json {
  const { podName, namespace, serviceAccount, podUid, podIps, nodeName } = settings;
  const ads = { ads: {}, resource_api_version: 'V3' };
  return {
    node: {
      id: `sidecar~${podIps[0]}~${podName}.${namespace}~${namespace}.svc.cluster.local`,
      cluster: `${serviceAccount}.${namespace}`,
      // Under the names of the environment: that is where the control plane looks for the pod.
      metadata: {
        [agentEnv.podName]: podName,
        [agentEnv.podNamespace]: namespace,
        [agentEnv.podUid]: podUid,
        [agentEnv.podIps]: podIps.join(','),
        [agentEnv.nodeName]: nodeName,
        [agentEnv.serviceAccount]: serviceAccount,
      },
    },
    admin: { address: socketAddress('127.0.0.1', ports.agentAdmin) },
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: xdsNames.adsCluster } }],
      },
      cds_config: ads,
      lds_config: ads,
    },
    static_resources: { clusters: [controlCluster(settings)] },
  };
}

function controlCluster({ controlAddress, trustDomain }: SidecarSettings): Json {
  const { host, port } = splitAddress(controlAddress);
  const controlId = formatSpiffeId(workloadId(trustDomain, system.namespace, system.controlServiceAccount));
  return {
    name: xdsNames.adsCluster,
    type: isIP(host) ? 'STATIC' : 'STRICT_DNS',
    connect_timeout: '5s',
    load_assignment: {
      cluster_name: xdsNames.adsCluster,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(host, port) } }] }],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: meshTls(controlId) },
  };
}

function meshTls(expectedId: string): Json {
  const sds = (name: string): Json => ({
    name,
    sds_config: {
      resource_api_version: 'V3',
      api_config_source: {
        api_type: 'GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: xdsNames.identityCluster } }],
      },
    },
  });
  return {
    '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
    common_tls_context: {
      tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
      alpn_protocols: ['h2'],
      tls_certificate_sds_secret_configs: [sds(xdsNames.ownCertificateSecret)],
      combined_validation_context: {
        default_validation_context: {
          match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: expectedId } }],
        },
        validation_context_sds_secret_config: sds(xdsNames.trustBundleSecret),
      },
    },
  };
}

function socketAddress(address: string, port: number): Json {
  return { socket_address: { address, port_value: port } };
}

/** host:port, the host of an IPv6 address without its brackets. */
export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return { host, port: Number(address.slice(colon + 1)) };
}
