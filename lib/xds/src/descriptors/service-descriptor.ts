/** A gRPC service with its methods. */
import type { DescMethod, DescService } from '@bufbuild/protobuf';
import { safeObjectProperty } from '@bufbuild/protobuf/reflect';
import type { MethodDescriptorProto, ServiceDescriptorProto } from '@bufbuild/protobuf/wkt';
import type { DescriptorSet } from './descriptor-set.ts';
import type { FileDescriptor } from './file-descriptor.ts';
import { eachField, isSet, nameIn, optionIn } from './wire.ts';

/** Field numbers of ServiceDescriptorProto and MethodDescriptorProto. */
const at = { method: 2, options: 3 } as const;
const methodAt = { name: 1, input: 2, output: 3, options: 4, clientStreaming: 5, serverStreaming: 6 } as const;
const deprecated = 33;
const idempotencyLevel = 34;

/** @param bytes a ServiceDescriptorProto */
export function serviceOf(set: DescriptorSet, file: FileDescriptor, bytes: Uint8Array): DescService {
  const name = nameIn(bytes);
  const typeName = file.fullName(undefined, name);
  const methods: DescMethod[] = [];
  let options: Uint8Array | undefined;
  const service: DescService = {
    kind: 'service',
    name,
    typeName,
    file,
    methods,
    method: {},
    get deprecated() {
      return isSet(options, deprecated);
    },
    get proto() {
      return set.decode<ServiceDescriptorProto>('google.protobuf.ServiceDescriptorProto', bytes);
    },
    toString: () => `service ${typeName}`,
  };
  eachField(bytes, (number, reader) => {
    if (number === at.method) methods.push(methodOf(set, service, reader.bytes()));
    else if (number === at.options) options = reader.bytes();
    else return false;
    return true;
  });
  for (const method of methods) service.method[method.localName] = method;
  return service;
}

function methodOf(set: DescriptorSet, parent: DescService, bytes: Uint8Array): DescMethod {
  const text = { [methodAt.name]: '', [methodAt.input]: '', [methodAt.output]: '' };
  const streams = { [methodAt.clientStreaming]: false, [methodAt.serverStreaming]: false };
  let options: Uint8Array | undefined;
  eachField(bytes, (number, reader) => {
    if (number in text) text[number as keyof typeof text] = reader.string();
    else if (number in streams) streams[number as keyof typeof streams] = reader.bool();
    else if (number === methodAt.options) options = reader.bytes();
    else return false;
    return true;
  });
  const name = text[methodAt.name];
  const client = streams[methodAt.clientStreaming];
  const server = streams[methodAt.serverStreaming];
  return {
    kind: 'rpc',
    name,
    localName: safeObjectProperty(name.slice(0, 1).toLowerCase() + name.slice(1)),
    parent,
    methodKind: client ? (server ? 'bidi_streaming' : 'client_streaming') : server ? 'server_streaming' : 'unary',
    input: set.message(text[methodAt.input].slice(1)),
    output: set.message(text[methodAt.output].slice(1)),
    idempotency: optionIn(options, idempotencyLevel) ?? 0,
    deprecated: isSet(options, deprecated),
    get proto() {
      return set.decode<MethodDescriptorProto>('google.protobuf.MethodDescriptorProto', bytes);
    },
    toString: () => `rpc ${parent.typeName}.${name}`,
  };
}
