/** Descriptors that generated code carries in itself, read as those of the set are. */
import type { DescFile } from '@bufbuild/protobuf';
import { BinaryWriter, base64Decode, WireType } from '@bufbuild/protobuf/wire';
import { DescriptorSet } from './descriptor-set.ts';

/**
 * What bundles have instead of the library's function of this name, which builds the descriptors of descriptors first.
 * @param base64 a FileDescriptorProto that imports nothing
 */
export function fileDesc(base64: string, imports: readonly DescFile[] = []): DescFile {
  const bytes = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(base64Decode(base64)).finish();
  const [file] = new DescriptorSet(bytes).files;
  if (file === undefined) throw new Error('no descriptor of a file');
  if (imports.length > 0) throw new Error(`${file}: a file that imports others cannot be embedded`);
  return file;
}
