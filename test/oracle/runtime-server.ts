/** A server of delta ADS that knows runtime layers only, in plaintext: what it holds is sent when it is asked for or changes. */
import { create, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { parseEnvoyJson } from '@chainmail/xds';
import { serviceDefinition } from '@chainmail/xds/grpc';
import { AggregatedDiscoveryService } from '@chainmail/xds/proto/envoy/service/discovery/v3/ads';
import {
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from '@chainmail/xds/proto/envoy/service/discovery/v3/discovery';
import { RuntimeSchema } from '@chainmail/xds/proto/envoy/service/runtime/v3/rtds';
import { Server, ServerCredentials, type ServerDuplexStream, status } from '@grpc/grpc-js';
import type { JsonObject } from './case.ts';

const typeUrl = 'type.googleapis.com/envoy.service.runtime.v3.Runtime';

type Stream = ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

export class RuntimeServer {
  readonly #server = new Server();
  readonly #layers = new Map<string, JsonObject>();
  /** Names by stream: a change goes to who has asked for it. */
  readonly #asked = new Map<Stream, Set<string>>();
  /** Answers by nonce: null is an acknowledgement, a text is the refusal. */
  readonly #answers = new Map<string, string | null>();
  #nonce = 0;

  async listen(): Promise<number> {
    const refuse = (stream: Stream): void => void stream.emit('error', { code: status.UNIMPLEMENTED });
    this.#server.addService(serviceDefinition(AggregatedDiscoveryService), {
      deltaAggregatedResources: (stream: Stream) => this.#accept(stream),
      streamAggregatedResources: refuse,
    });
    return new Promise((done, fail) => {
      const bound = (error: Error | null, port: number): void => (error === null ? done(port) : fail(error));
      this.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), bound);
    });
  }

  close(): void {
    this.#server.forceShutdown();
  }

  /** Every name that was ever asked for. */
  get names(): readonly string[] {
    return [...new Set([...this.#asked.values()].flatMap((names) => [...names]))].sort();
  }

  /** Exchanges a layer, or takes it away. Resolves with `accepted` or `refused`, once who has it says so. */
  async put(name: string, layer: JsonObject | null): Promise<string> {
    if (layer === null) this.#layers.delete(name);
    else this.#layers.set(name, layer);
    const nonces = [...this.#asked].flatMap(([stream, names]) => (names.has(name) ? [this.#send(stream, [name])] : []));
    const end = Date.now() + 10_000;
    const isOpen = (nonce: string): boolean => !this.#answers.has(nonce);
    while (nonces.some(isOpen) && Date.now() < end) await new Promise((done) => setTimeout(done, 10));
    return nonces.map((nonce) => (this.#answers.get(nonce) === null ? 'accepted' : 'refused')).join();
  }

  #accept(stream: Stream): void {
    const names = new Set<string>();
    this.#asked.set(stream, names);
    stream.on('error', () => undefined);
    stream.on('end', () => stream.end());
    stream.on('data', (request: DeltaDiscoveryRequest) => {
      if (request.typeUrl !== typeUrl) return;
      if (request.responseNonce !== '') {
        this.#answers.set(request.responseNonce, request.errorDetail?.message ?? null);
      }
      for (const name of request.resourceNamesSubscribe) names.add(name);
      if (request.resourceNamesSubscribe.length > 0) this.#send(stream, request.resourceNamesSubscribe);
    });
  }

  /** The nonce. */
  #send(stream: Stream, names: readonly string[]): string {
    const nonce = String(++this.#nonce);
    const resources = names.flatMap((name) => {
      const layer = this.#layers.get(name);
      if (layer === undefined) return [];
      const value = toBinary(RuntimeSchema, parseEnvoyJson(RuntimeSchema, { name, layer }));
      return [{ name, version: nonce, resource: create(AnySchema, { typeUrl, value }) }];
    });
    const removedResources = names.filter((name) => !this.#layers.has(name));
    stream.write(create(DeltaDiscoveryResponseSchema, { typeUrl, nonce, resources, removedResources }));
    return nonce;
  }
}
