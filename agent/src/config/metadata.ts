/** Metadata for load balancing (`envoy.lb`): of endpoints, and what routes ask of them. */
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { Metadata } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import { matchOf } from '../cluster/metadata-match.ts';
import type { MetadataMatchSpec, MetadataValueSpec } from '../model/cluster.ts';
import type { MessageReader } from './message-reader.ts';

const lbNamespace = 'envoy.lb';

/** The same text for values that are equal: objects with sorted keys. */
export function canonicalJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([k, v]) => `${JSON.stringify(k)}:${canonicalJson(v)}`).join(',')}}`;
}

/** Its value is a list of objects, each of which goes over the other names for one try. */
const fallbackList = 'fallback_list';

export function metadataMatch(wanted: JsonObject): MetadataMatchSpec {
  if (!Object.hasOwn(wanted, fallbackList)) return plainMatch(wanted);
  const { [fallbackList]: list = null, ...others } = wanted;
  const overrides = Array.isArray(list) && list.length > 0 ? list : [null];
  return { ...plainMatch(wanted), variants: overrides.map((over) => plainMatch({ ...others, ...objectOf(over) })) };
}

/** What is no object overrides nothing, as in Envoy. */
function objectOf(value: JsonValue): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
}

function plainMatch(wanted: JsonObject): MetadataMatchSpec {
  const entries = Object.entries(wanted).sort(([a], [b]) => (a < b ? -1 : 1));
  return matchOf(
    entries.map(([name]) => name),
    entries.map(([, value]) => canonicalJson(value)),
  );
}

/** metadata_match of a route, a weighted cluster or tcp_proxy; other namespaces do nothing, as in Envoy. */
export function readMetadataMatch(r: MessageReader<Metadata>): JsonObject {
  r.take('typedFilterMetadata');
  return r.take('filterMetadata')[lbNamespace] ?? {};
}

/** The subset that a cluster of a route is asked for: what is said nearest to it wins. */
export function subsetOf(...levels: readonly (JsonObject | undefined)[]): { readonly subset?: MetadataMatchSpec } {
  const wanted: JsonObject = Object.assign({}, ...levels);
  return Object.keys(wanted).length === 0 ? {} : { subset: metadataMatch(wanted) };
}

/** What an endpoint is, for subsets; undefined when it says nothing. */
export function endpointMetadata(message: Metadata): Readonly<Record<string, MetadataValueSpec>> | undefined {
  const entries = Object.entries(message.filterMetadata[lbNamespace] ?? {});
  if (entries.length === 0) return undefined;
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      Array.isArray(value)
        ? { value: canonicalJson(value), items: value.map(canonicalJson) }
        : { value: canonicalJson(value) },
    ]),
  );
}
