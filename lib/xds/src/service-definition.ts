/**
 * A service of the generated types as grpc-js wants it. Invariant: a message that is bytes already is sent as it is,
 * so that a resource is encoded once and pushed to many.
 */
import { type DescMethod, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import type { GenService, GenServiceMethods } from '@bufbuild/protobuf/codegenv2';
import type { MethodDefinition } from '@grpc/grpc-js';

/** The methods of a service under their local names, with the message types of each. */
export type ServiceMethods<T extends GenServiceMethods> = {
  readonly [K in keyof T]: MethodDefinition<MessageShape<T[K]['input']>, MessageShape<T[K]['output']>>;
};

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

type Schema = DescMethod['input'];
type Message = MessageShape<Schema>;

const encodeWith =
  (schema: Schema) =>
  (message: Message | Uint8Array): Buffer =>
    view(message instanceof Uint8Array ? message : toBinary(schema, message));

const decodeWith =
  (schema: Schema) =>
  (bytes: Buffer): Message =>
    fromBinary(schema, bytes);

function methodDefinition(service: string, method: DescMethod): MethodDefinition<Message, Message> {
  const { input, output, methodKind, name, localName } = method;
  return {
    path: `/${service}/${name}`,
    originalName: localName,
    requestStream: methodKind === 'client_streaming' || methodKind === 'bidi_streaming',
    responseStream: methodKind === 'server_streaming' || methodKind === 'bidi_streaming',
    requestSerialize: encodeWith(input),
    requestDeserialize: decodeWith(input),
    responseSerialize: encodeWith(output),
    responseDeserialize: decodeWith(output),
  };
}

/**
 * For `server.addService(definition, handlers)`, where handlers carry the methods' local names, and for
 * `client.make*Request(definition.method.path, ...)`.
 */
export function serviceDefinition<T extends GenServiceMethods>(service: GenService<T>): ServiceMethods<T> {
  const methods = service.methods.map((m) => [m.localName, methodDefinition(service.typeName, m)] as const);
  return Object.fromEntries(methods) as unknown as ServiceMethods<T>;
}
