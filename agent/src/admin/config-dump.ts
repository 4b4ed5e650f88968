/** GET /config_dump: all of it, one kind of resource (resource), some names (name_regex), some fields (mask). */
import type { DescMessage } from '@bufbuild/protobuf';
import { messageOf } from '@chainmail/runtime';
import { typeNameOf } from '@chainmail/xds';
import { messageNamed, registry } from '@chainmail/xds/registry';
import { compileRegex } from '../policy/regex.ts';
import { type AdminResponse, json, text } from './command.ts';
import { type Dump, type DumpSources, dumpParts, type Wanted } from './dump-parts.ts';
import { maskedEntry, maskedMessage, maskPaths } from './field-mask.ts';
import type { Json } from './redact.ts';

const known: ReadonlySet<string> = new Set(['resource', 'mask', 'name_regex', 'include_eds']);

export function configDump(sources: DumpSources, query: URLSearchParams): AdminResponse {
  for (const name of query.keys()) {
    if (!known.has(name)) return text(`${name} is not implemented\n`, 400);
  }
  const pattern = query.get('name_regex') ?? '';
  let wanted: Wanted = () => true;
  try {
    if (pattern !== '') wanted = compileRegex(pattern).matches;
  } catch (error) {
    const reason = messageOf(error).replace(/^Invalid re2 regex: /, '');
    return text(`INVALID_ARGUMENT: Error while parsing name_regex from ${pattern}: ${reason}`, 400);
  }
  const resource = query.get('resource') ?? '';
  const withEndpoints = query.has('include_eds') || resource.endsWith('endpoint_configs');
  const dumps = dumpParts(sources, wanted, withEndpoints);
  const mask = query.get('mask') ?? '';
  return resource === '' ? wholeDump(dumps, mask) : resourceDump(dumps, resource, mask);
}

const configsOf = (configs: readonly Json[]): AdminResponse => json(configs.length === 0 ? {} : { configs });

const descOf = (dump: Dump): DescMessage => messageNamed(typeNameOf(String(dump['@type'])));

/** A mask need not fit every part: those that it does not fit are left out. */
function wholeDump(dumps: readonly Dump[], mask: string): AdminResponse {
  if (mask === '') return configsOf(dumps);
  const masked = dumps.flatMap((dump) => maskedMessage(descOf(dump), dump, maskPaths(mask)) ?? []);
  if (masked.length > 0) return configsOf(masked);
  return text(`FieldMask ${mask} could not be successfully applied to any configs.`, 400);
}

function resourceDump(dumps: readonly Dump[], resource: string, mask: string): AdminResponse {
  const dump = dumps.find((d) => descOf(d).fields.some((f) => f.name === resource));
  const field = dump && descOf(dump).fields.find((f) => f.name === resource);
  if (dump === undefined || field === undefined) return text(`${resource} not found in config dump`, 404);
  if (field.fieldKind !== 'list' || field.message === undefined) {
    return text(`${resource} is not a repeated field. Use ?mask=${resource} to get only this field`, 400);
  }
  const { message } = field;
  const configs: Json[] = [];
  for (const item of (dump[resource] ?? []) as readonly Dump[]) {
    const entry = mask === '' ? item : maskedEntry(message, item, maskPaths(mask), resourceSchema);
    if (entry === undefined) return text(`FieldMask ${mask} could not be successfully used.`, 400);
    configs.push({ '@type': `type.googleapis.com/${message.typeName}`, ...(entry as object) });
  }
  return configsOf(configs);
}

const resourceSchema = (typeUrl: string): DescMessage | undefined => registry.getMessage(typeNameOf(typeUrl));
