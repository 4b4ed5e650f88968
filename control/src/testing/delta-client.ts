/** A delta xDS client over mutual TLS, for tests: keeps what it was sent, acknowledges, or refuses when told to. */
import { create, type DescMessage, fromBinary, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import type { WorkloadIdentity } from '@chainmail/pki';
import { meshChannelOptions, serviceDefinition, spiffeChannelCredentials } from '@chainmail/xds/grpc';
import { AggregatedDiscoveryService } from '@chainmail/xds/proto/envoy/service/discovery/v3/ads';
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
} from '@chainmail/xds/proto/envoy/service/discovery/v3/discovery';
import { Client, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js';
import { type ResourceType, schemas, typeOfUrl, typeUrlOf } from '../snapshot/piece.ts';
import { trustDomain } from './test-ca.ts';

const definition = serviceDefinition(AggregatedDiscoveryService);
const controlId = `spiffe://${trustDomain}/ns/chainmail-system/sa/chainmail-control`;

type RequestInit = Exclude<MessageInitShape<typeof DeltaDiscoveryRequestSchema>, { $typeName: string }>;

export interface Received {
  readonly type: ResourceType;
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

export class DeltaClient {
  readonly #client: Client;
  readonly #stream: ClientDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
  readonly #pod: string;
  readonly #held = new Map<ResourceType, Map<string, { version: string; bytes: Uint8Array }>>();
  readonly log: Received[] = [];
  #watchers = new Set<() => void>();
  #first = true;
  /** A reason makes the next response of the type be refused. */
  readonly refuse = new Map<ResourceType, string>();
  /** Types whose responses are left unanswered. */
  readonly silent = new Set<ResourceType>();
  error: ServiceError | undefined;

  constructor(port: number, identity: WorkloadIdentity, pod: string, more: { readonly metadata?: boolean } = {}) {
    const material = identity.current();
    const credentials = spiffeChannelCredentials({
      bundles: () => (material === undefined ? [] : [material.bundle]),
      identity: () => identity.current(),
      expected: [controlId],
    });
    this.#client = new Client(`127.0.0.1:${port}`, credentials, meshChannelOptions('chainmail-control'));
    const { path, requestSerialize, responseDeserialize } = definition.deltaAggregatedResources;
    this.#stream = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    this.#pod = more.metadata === true ? `meta:${pod}` : pod;
    this.#stream.on('data', (r: DeltaDiscoveryResponse) => this.#take(r));
    this.#stream.on('error', (e: ServiceError) => {
      this.error = e;
      this.#tell();
    });
  }

  #node(): RequestInit {
    if (!this.#first) return {};
    this.#first = false;
    const [namespace = '', name = ''] = this.#pod.replace('meta:', '').split('/');
    const node = this.#pod.startsWith('meta:')
      ? { id: 'x', metadata: { POD_NAME: name, POD_NAMESPACE: namespace } }
      : { id: `sidecar~10.0.0.1~${name}.${namespace}~${namespace}.svc.cluster.local` };
    return { node };
  }

  send(type: ResourceType, init: RequestInit = {}): void {
    this.#stream.write(create(DeltaDiscoveryRequestSchema, { ...this.#node(), typeUrl: typeUrlOf(type), ...init }));
  }

  /** Subscribes the way an agent does: all clusters and listeners, then what they name. */
  subscribeAll(): void {
    this.send('cluster');
    this.send('listener');
  }

  get<T extends DescMessage>(type: ResourceType, name: string, schema: T): MessageShape<T> | undefined {
    const held = this.#held.get(type)?.get(name);
    return held === undefined ? undefined : fromBinary(schema, held.bytes);
  }

  names(type: ResourceType): string[] {
    return [...(this.#held.get(type)?.keys() ?? [])].sort();
  }

  versions(type: ResourceType): Record<string, string> {
    return Object.fromEntries([...(this.#held.get(type) ?? [])].map(([n, h]) => [n, h.version]));
  }

  /** Resolves when the condition holds after some message. */
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
    this.#stream.cancel();
    this.#client.close();
  }

  #take(response: DeltaDiscoveryResponse): void {
    const type = typeOfUrl.get(response.typeUrl);
    if (type === undefined) return;
    const held = this.#held.get(type) ?? new Map<string, { version: string; bytes: Uint8Array }>();
    this.#held.set(type, held);
    const reason = this.refuse.get(type);
    this.log.push({ type, changed: response.resources.map((r) => r.name), removed: response.removedResources });
    if (reason === undefined) this.#store(type, held, response);
    if (!this.silent.has(type)) this.answer(type, response.nonce, reason);
    this.refuse.delete(type);
    if (reason === undefined && type === 'cluster') this.#follow(response);
    this.#tell();
  }

  answer(type: ResourceType, nonce: string, reason?: string): void {
    this.send(type, {
      responseNonce: nonce,
      ...(reason === undefined ? {} : { errorDetail: { code: 3, message: reason } }),
    });
  }

  #store(
    type: ResourceType,
    held: Map<string, { version: string; bytes: Uint8Array }>,
    r: DeltaDiscoveryResponse,
  ): void {
    for (const one of r.resources) {
      const bytes = one.resource?.value ?? new Uint8Array();
      fromBinary(schemas[type], bytes);
      held.set(one.name, { version: one.version, bytes });
    }
    for (const name of r.removedResources) held.delete(name);
  }

  #follow(response: DeltaDiscoveryResponse): void {
    const names = response.resources.map((r) => r.name).filter((n) => n.startsWith('outbound|'));
    if (names.length === 0) return;
    this.send('endpoints', { resourceNamesSubscribe: names });
    this.send('route', { resourceNamesSubscribe: names });
  }

  #tell(): void {
    for (const w of [...this.#watchers]) w();
  }
}
