/**
 * Runs the real Envoy where a pod's agent would run, as `node envoy-sidecar.ts ENVOY`: asks the CA for the pod's
 * certificate, serves it to Envoy over SDS in the place of the agent's own identity, and points Envoy at the real
 * control plane. Everything else, listeners, clusters and routes, is what control sends.
 */
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import {
  create,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { agentEnv, system, xdsNames } from '@chainmail/runtime';
import { serviceDefinition } from '@chainmail/xds/grpc';
import { SecretSchema } from '@chainmail/xds/proto/envoy/extensions/transport_sockets/tls/v3/secret';
import {
  type DiscoveryRequest,
  DiscoveryResponseSchema,
} from '@chainmail/xds/proto/envoy/service/discovery/v3/discovery';
import { SecretDiscoveryService } from '@chainmail/xds/proto/envoy/service/secret/v3/sds';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';

interface Issued {
  readonly keyPem: string;
  readonly chainPem: string;
  readonly bundlePem: string;
}

const agent = path.resolve(import.meta.dirname, '../../node_modules/.bin/chainmail-agent');
const secretType = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
const env = (name: string): string => process.env[name] ?? '';

const bytes = <D extends DescMessage>(schema: D, json: JsonValue): Uint8Array =>
  toBinary(schema, fromJson(schema, json) as MessageShape<D>);

const inline = (text: string): JsonObject => ({ inlineString: text });

function secrets(issued: Issued): ReadonlyMap<string, Uint8Array> {
  const own = { certificateChain: inline(issued.chainPem), privateKey: inline(issued.keyPem) };
  return new Map([
    [xdsNames.ownCertificateSecret, bytes(SecretSchema, { name: xdsNames.ownCertificateSecret, tlsCertificate: own })],
    [
      xdsNames.trustBundleSecret,
      bytes(SecretSchema, {
        name: xdsNames.trustBundleSecret,
        validationContext: { trustedCa: inline(issued.bundlePem) },
      }),
    ],
  ]);
}

type Stream = ServerDuplexStream<DiscoveryRequest, MessageShape<typeof DiscoveryResponseSchema>>;

/** State-of-the-world SDS: one answer for each request that is not an acknowledgement. */
function serveSecrets(issued: Issued): Promise<number> {
  const known = secrets(issued);
  const server = new Server();
  server.addService(serviceDefinition(SecretDiscoveryService), {
    streamSecrets: (stream: Stream) => {
      stream.on('error', () => {});
      stream.on('data', (request: DiscoveryRequest) => {
        if (request.responseNonce !== '') return;
        const resources = request.resourceNames.flatMap((name) => known.get(name) ?? []);
        stream.write(
          create(DiscoveryResponseSchema, {
            versionInfo: '1',
            nonce: '1',
            typeUrl: secretType,
            resources: resources.map((value) => ({ typeUrl: secretType, value })),
          }),
        );
      });
      stream.on('end', () => stream.end());
    },
  });
  return new Promise((done, fail) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error === null ? done(port) : fail(error),
    );
  });
}

function address(hostPort: string): JsonObject {
  const [host = '', port = '0'] = hostPort.split(':');
  return { socket_address: { address: host, port_value: Number(port) } };
}

const http2: JsonObject = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicit_http_config: { http2_protocol_options: {} },
  },
};

const grpcCluster = (name: string, target: JsonObject, more: JsonObject = {}): JsonObject => ({
  name,
  type: 'STATIC',
  connect_timeout: '2s',
  typed_extension_protocol_options: http2,
  load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: target } }] }] },
  ...more,
});

/** Mutual TLS to control, whose SPIFFE ID is checked. */
function toControl(issued: Issued): JsonObject {
  const control = `spiffe://${env(agentEnv.trustDomain)}/ns/${system.namespace}/sa/${system.controlServiceAccount}`;
  return {
    transport_socket: {
      name: 'tls',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
        common_tls_context: {
          alpn_protocols: ['h2'],
          tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
          tls_certificates: [
            { certificate_chain: { inline_string: issued.chainPem }, private_key: { inline_string: issued.keyPem } },
          ],
          validation_context: {
            trusted_ca: { inline_string: issued.bundlePem },
            match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: control } }],
          },
        },
      },
    },
  };
}

function bootstrap(issued: Issued, sdsPort: number): JsonObject {
  const [name, namespace] = [env(agentEnv.podName), env(agentEnv.podNamespace)];
  const ads = { ads: {}, resource_api_version: 'V3' };
  return {
    node: {
      id: `sidecar~${env(agentEnv.podIp)}~${name}.${namespace}~${namespace}.svc.cluster.local`,
      cluster: name,
      metadata: { [agentEnv.podName]: name, [agentEnv.podNamespace]: namespace },
    },
    admin: { address: address('127.0.0.1:15000') },
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: xdsNames.adsCluster } }],
      },
      cds_config: ads,
      lds_config: ads,
    },
    static_resources: {
      clusters: [
        grpcCluster(xdsNames.adsCluster, address(env(agentEnv.controlAddress)), toControl(issued)),
        grpcCluster(xdsNames.identityCluster, address(`127.0.0.1:${sdsPort}`)),
      ],
    },
  };
}

const [envoy = 'envoy'] = process.argv.slice(2);
const issued = JSON.parse(execFileSync(agent, ['request-certificate'], { encoding: 'utf8' })) as Issued;
const file = '/tmp/envoy.json';
fs.writeFileSync(file, JSON.stringify(bootstrap(issued, await serveSecrets(issued))), { mode: 0o600 });
const flags = ['--concurrency', '1', '--disable-hot-restart', '--use-dynamic-base-id', '-l', 'warning'];
const child = spawn(envoy, ['-c', file, ...flags], { stdio: 'inherit' });
child.on('exit', (code) => process.exit(code ?? 1));
process.on('SIGTERM', () => child.kill('SIGTERM'));
