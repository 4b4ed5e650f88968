/** LbSubsetConfig: which keys of the endpoints' metadata make subsets, and what happens without a match. */
import type {
  Cluster_LbSubsetConfig,
  Cluster_LbSubsetConfig_LbSubsetSelector,
} from '@chainmail/xds/proto/envoy/config/cluster/v3/cluster';
import type { SubsetSelectorSpec, SubsetsSpec } from '../model/cluster.ts';
import type { MessageReader } from './message-reader.ts';
import { metadataMatch } from './metadata.ts';

const fallbacks = { NO_FALLBACK: 'none', ANY_ENDPOINT: 'any', DEFAULT_SUBSET: 'default' } as const;
const selectorFallbacks = { NOT_DEFINED: 'not-defined', ...fallbacks, KEYS_SUBSET: 'keys' } as const;

/** null without selectors: then Envoy too balances over all hosts. */
export function readSubsets(r: MessageReader<Cluster_LbSubsetConfig>): SubsetsSpec | null {
  const spec: SubsetsSpec = {
    fallback: r.oneOf('fallbackPolicy', fallbacks),
    defaultSubset: metadataMatch(r.take('defaultSubset') ?? {}),
    selectors: r.each('subsetSelectors', readSelector),
    panicModeAny: r.take('panicModeAny'),
    listAsAny: r.take('listAsAny'),
    localityWeightAware: r.take('localityWeightAware'),
    scaleLocalityWeight: r.take('scaleLocalityWeight'),
    fallbackList: r.oneOf('metadataFallbackPolicy', { METADATA_NO_FALLBACK: false, FALLBACK_LIST: true }),
  };
  if (spec.scaleLocalityWeight && !spec.localityWeightAware) {
    throw r.invalid('scaleLocalityWeight', 'needs locality_weight_aware');
  }
  return spec.selectors.length === 0 ? null : spec;
}

function readSelector(r: MessageReader<Cluster_LbSubsetConfig_LbSubsetSelector>): SubsetSelectorSpec {
  const keys = [...new Set(r.take('keys'))].sort();
  const fallback = r.oneOf('fallbackPolicy', selectorFallbacks);
  const fallbackKeys = [...new Set(r.take('fallbackKeysSubset'))].sort();
  const singleHost = r.take('singleHostPerSubset');
  if (fallback === 'keys') {
    if (fallbackKeys.length === 0) {
      throw r.invalid('fallbackKeysSubset', 'cannot be empty with KEYS_SUBSET');
    }
    if (fallbackKeys.some((key) => !keys.includes(key))) {
      throw r.invalid('fallbackKeysSubset', 'must be a subset of the selector keys');
    }
    if (fallbackKeys.length === keys.length) {
      throw r.invalid('fallbackKeysSubset', 'cannot be equal to the keys of the selector');
    }
  } else if (fallbackKeys.length > 0) {
    throw r.invalid('fallbackKeysSubset', 'can be set only with KEYS_SUBSET');
  }
  if (singleHost && keys.length !== 1) throw r.invalid('singleHostPerSubset', 'needs exactly one key');
  return { keys, fallback, fallbackKeys, singleHost };
}
