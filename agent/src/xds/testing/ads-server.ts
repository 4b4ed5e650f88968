/** An ADS server over mutual TLS inside the test's process, with real certificates from a CA beside it. */
import { create, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { WorkloadIdentity, workloadId } from '@chainmail/pki';
import { checkCsr, createRoot, type Issuer, issueSvid, openIssuer } from '@chainmail/pki/authority';
import { parseEnvoyJson, typeNameOf } from '@chainmail/xds';
import { peerSvid, serviceDefinition, spiffeServerCredentials } from '@chainmail/xds/grpc';
import { AggregatedDiscoveryService } from '@chainmail/xds/proto/envoy/service/discovery/v3/ads';
import {
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from '@chainmail/xds/proto/envoy/service/discovery/v3/discovery';
import { registry } from '@chainmail/xds/registry';
import { Server, type ServerDuplexStream, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { type ResourceKind, resourceTypes } from '../resource-types.ts';

export const trustDomain = 'cluster.local';

export class TestCa {
  readonly #issuer: Issuer;

  constructor(issuer: Issuer) {
    this.#issuer = issuer;
  }

  static async create(): Promise<TestCa> {
    const root = await createRoot({ trustDomain, nowMs: Date.now(), lifetimeMs: 3_600_000 });
    return new TestCa(await openIssuer(trustDomain, root));
  }

  async identity(namespace: string, account: string): Promise<WorkloadIdentity> {
    const identity = new WorkloadIdentity({
      trustDomain,
      signer: {
        sign: async ({ csrPem }) => {
          const csr = checkCsr(csrPem);
          if (!csr.ok) throw new Error(csr.reason);
          const id = workloadId(trustDomain, namespace, account);
          const times = { nowMs: Date.now(), ttlMs: 600_000 };
          const svid = await issueSvid(this.#issuer, { id, publicKey: csr.publicKey, dnsNames: [], ...times });
          const root = this.#issuer.certificatePem;
          return { chainPem: [svid.certificatePem, root], trustAnchorsPem: [root], bundleSequence: 1 };
        },
      },
    });
    identity.start();
    await identity.ready();
    return identity;
  }
}

type Call = ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

export interface ServedStream {
  readonly peer: string;
  readonly requests: DeltaDiscoveryRequest[];
  send(kind: ResourceKind, nonce: string, resources: Readonly<Record<string, unknown>>, removed?: string[]): void;
  end(): void;
}

export class AdsServer {
  readonly port: number;
  readonly streams: ServedStream[] = [];
  readonly #server: Server;
  readonly #credentials: { close(): void };
  #watchers = new Set<() => void>();

  constructor(server: Server, port: number, credentials: { close(): void }) {
    this.#server = server;
    this.port = port;
    this.#credentials = credentials;
  }

  static async start(identity: WorkloadIdentity): Promise<AdsServer> {
    const server = new Server();
    const credentials = spiffeServerCredentials({ identity, clients: 'with-certificate' });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
    });
    const ads = new AdsServer(server, port, credentials);
    const accept = (call: Call): void => ads.#accept(call, identity);
    const refuse = (call: Call): void => void call.emit('error', { code: status.UNIMPLEMENTED });
    const methods = { deltaAggregatedResources: accept, streamAggregatedResources: refuse };
    server.addService(
      serviceDefinition(AggregatedDiscoveryService),
      methods as unknown as UntypedServiceImplementation,
    );
    return ads;
  }

  /** Resolves when the condition holds, looked at after each message. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }

  close(): void {
    this.#credentials.close();
    this.#server.forceShutdown();
  }

  #accept(call: Call, identity: WorkloadIdentity): void {
    const bundle = identity.current()?.bundle;
    const verdict = peerSvid(call, bundle === undefined ? [] : [bundle], Date.now());
    const requests: DeltaDiscoveryRequest[] = [];
    const stream: ServedStream = {
      peer: verdict.ok ? verdict.spiffeId : verdict.reason,
      requests,
      send: (kind, nonce, resources, removed = []) => void call.write(responseOf(kind, nonce, resources, removed)),
      end: () => call.end(),
    };
    this.streams.push(stream);
    call.on('data', (request: DeltaDiscoveryRequest) => {
      requests.push(request);
      for (const look of this.#watchers) look();
    });
    call.on('error', () => undefined);
    call.on('end', () => call.end());
  }
}

function responseOf(
  kind: ResourceKind,
  nonce: string,
  resources: Readonly<Record<string, unknown>>,
  removedResources: string[],
): DeltaDiscoveryResponse {
  const typeUrl = resourceTypes[kind];
  const schema = registry.getMessage(typeNameOf(typeUrl));
  if (schema === undefined) throw new Error(typeUrl);
  return create(DeltaDiscoveryResponseSchema, {
    typeUrl,
    nonce,
    removedResources,
    resources: Object.entries(resources).map(([name, json]) => ({
      name,
      version: nonce,
      resource: create(AnySchema, { typeUrl, value: toBinary(schema, parseEnvoyJson(schema, json)) }),
    })),
  });
}
