/** SDS from a file (path_config_source): a DiscoveryResponse with Secrets, as Envoy reads it. */
import path from 'node:path';
import { FieldError, unpackAny } from '@chainmail/xds';
import type { PathConfigSource } from '@chainmail/xds/proto/envoy/config/core/v3/config_source';
import type { Secret } from '@chainmail/xds/proto/envoy/extensions/transport_sockets/tls/v3/secret';
import type { DiscoveryResponse } from '@chainmail/xds/proto/envoy/service/discovery/v3/discovery';
import { messageNamed } from '@chainmail/xds/registry';
import { messageFromText } from '@chainmail/xds/text';
import type { SecretSpec } from '../model/tls.ts';
import {
  CompileContext,
  type CompileEnvironment,
  contentHash,
  type LoadedSecret,
  type SecretFile,
} from './compile-context.ts';
import { type MessageReader, readMessage } from './message-reader.ts';

type ReadSecret = (r: MessageReader<Secret>, context: CompileContext) => SecretSpec;

export interface PathSource {
  readonly path: string;
  readonly watchedDirectory: string;
}

export function readPathSource(r: MessageReader<PathConfigSource>): PathSource {
  const watchedDirectory = r.inside('watchedDirectory', (w) => w.take('path')) ?? '';
  return { path: r.take('path'), watchedDirectory };
}

/** The secret of this resource name in the file. */
export function secretFile(
  source: PathSource,
  resource: string,
  env: CompileEnvironment,
  readSecret: ReadSecret,
): SecretFile {
  const name = `file/${contentHash([path.resolve(source.path), resource])}`;
  const load = (): LoadedSecret => {
    const files: string[] = [];
    const readFile = (file: string): Buffer => {
      files.push(file);
      return env.readFile(file);
    };
    const text = readFile(source.path).toString();
    const spec = secretOf(text, source.path, resource, (r) => readSecret(r, new CompileContext({ ...env, readFile })));
    return { spec: { ...spec, name }, files };
  };
  return { name, ...source, load };
}

function secretOf(
  text: string,
  file: string,
  resource: string,
  read: (r: MessageReader<Secret>) => SecretSpec,
): SecretSpec {
  const schema = messageNamed('envoy.service.discovery.v3.DiscoveryResponse');
  const { resources } = messageFromText(schema, text, file) as DiscoveryResponse;
  for (const [i, any] of resources.entries()) {
    const at = `${file}: resources[${i}]`;
    const inner = unpackAny(any);
    if (inner.kind !== 'message' || inner.schema.typeName !== 'envoy.extensions.transport_sockets.tls.v3.Secret') {
      throw new FieldError(at, 'is not a Secret');
    }
    const secret = inner.message as unknown as Secret;
    if (secret.name === resource) return readMessage(secret, at, read);
  }
  throw new FieldError(file, `holds no secret '${resource}'`);
}
