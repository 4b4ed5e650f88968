/** DataSource: bytes given inline or in a file. Environment variables are refused: secrets do not belong there. */

import { messageOf } from '@chainmail/runtime';
import type { DataSource } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import type { CompileContext } from './compile-context.ts';
import type { MessageReader } from './message-reader.ts';

/** Certificates, keys and bodies are small; a path that names a device must not fill the memory. */
const maxBytes = 4 * 1024 * 1024;

export function readDataSource(r: MessageReader<DataSource>, context: CompileContext): Buffer {
  const source = r.take('specifier');
  switch (source.case) {
    case undefined:
      throw r.invalid('', 'one of filename, inline_bytes, inline_string is required');
    case 'environmentVariable':
      throw r.unsupported('environmentVariable');
    case 'inlineString':
      return Buffer.from(source.value);
    case 'inlineBytes':
      return Buffer.from(source.value);
    case 'filename':
      return fileContent(r, source.value, context);
  }
}

function fileContent(r: MessageReader<DataSource>, path: string, context: CompileContext): Buffer {
  let content: Buffer;
  try {
    content = context.env.readFile(path);
  } catch (error) {
    throw r.invalid('filename', `cannot read ${path}: ${messageOf(error)}`);
  }
  if (content.length > maxBytes) throw r.invalid('filename', `${path} is larger than ${maxBytes} bytes`);
  return content;
}
