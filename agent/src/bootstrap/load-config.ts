/** Bootstrap from a file and from text, merged the way protobuf merges: scalars replaced, messages joined, lists appended. */
import fs from 'node:fs';
import { create, type DescMessage, type MessageShape, merge } from '@bufbuild/protobuf';
import { messageOf, UserError } from '@chainmail/runtime';
import { describeProblem, parseEnvoyJson, validateMessage } from '@chainmail/xds';
import type { Bootstrap } from '@chainmail/xds/proto/envoy/config/bootstrap/v3/bootstrap';
import type { LocalitySchema, NodeSchema } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import { messageNamed } from '@chainmail/xds/registry';
import { messageFromText } from '@chainmail/xds/text';
import type { ServeOptions } from './options.ts';

/** Problems shown of a bootstrap that breaks the rules of its messages. */
const shownProblems = 20;
const maxFileBytes = 64 * 1024 * 1024;
const bootstrapType = 'envoy.config.bootstrap.v3.Bootstrap';

/** @throws UserError with file, path and reason */
export function loadBootstrap(options: ServeOptions): Bootstrap {
  const schema = messageNamed(bootstrapType);
  const { configPath, configYaml } = options;
  const message = configPath === null ? create(schema) : fromFile(schema, configPath);
  if (configYaml !== null) merge(schema, message, messageFromText(schema, configYaml, '--config-yaml'));
  return checked(message as Bootstrap, options);
}

/** The same for a bootstrap made by a program. */
export function bootstrapFromJson(json: unknown, options: ServeOptions): Bootstrap {
  return checked(parseEnvoyJson(messageNamed(bootstrapType), json) as Bootstrap, options);
}

function fromFile(schema: DescMessage, path: string): MessageShape<DescMessage> {
  let text: string;
  try {
    const { size } = fs.statSync(path);
    if (size > maxFileBytes) throw new Error(`larger than ${maxFileBytes} bytes`);
    text = fs.readFileSync(path, 'utf8');
  } catch (cause) {
    throw new UserError('CONFIG_UNREADABLE', `unable to read file: ${path}: ${messageOf(cause)}`, { cause });
  }
  return messageFromText(schema, text, path);
}

function checked(message: Bootstrap, options: ServeOptions): Bootstrap {
  fillNode(message, options);
  const problems = validateMessage(messageNamed(bootstrapType), message);
  if (problems.length === 0) return message;
  throw new UserError('CONFIG_INVALID', problems.slice(0, shownProblems).map(describeProblem).join('\n'));
}

/** Flags go before what the bootstrap says, as in Envoy. */
function fillNode(message: Bootstrap, { serviceNode, serviceCluster, serviceZone }: ServeOptions): void {
  if (serviceNode === '' && serviceCluster === '' && serviceZone === '') return;
  const node = (message.node ??= create(messageNamed<typeof NodeSchema>('envoy.config.core.v3.Node')));
  node.id = serviceNode || node.id;
  node.cluster = serviceCluster || node.cluster;
  if (serviceZone !== '') {
    const locality = (node.locality ??= create(messageNamed<typeof LocalitySchema>('envoy.config.core.v3.Locality')));
    locality.zone = serviceZone;
  }
}
