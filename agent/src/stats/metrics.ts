/** The numbers of the registry under Envoy's names: one list that every rendering shares. */
import { type BlockSort, blockSorts, type Label } from './blocks.ts';
import { codeSlots, histogramBuckets, type SlotKind } from './layout.ts';
import type { MainStat, StatBlock, StatRegistry } from './registry.ts';

interface Named {
  /** Envoy's full name, `cluster.a.upstream_rq_200`. */
  readonly name: string;
  /** The name for Prometheus, without the parts that became labels. */
  readonly family: string;
  readonly labels: readonly Label[];
}

export interface NumberMetric extends Named {
  readonly kind: 'counter' | 'gauge';
  readonly value: number;
}

export interface HistogramMetric extends Named {
  readonly kind: 'histogram';
  readonly count: number;
  readonly sum: number;
  /** How many values are in each bucket of layout.ts. */
  readonly buckets: Float64Array;
}

export type Metric = NumberMetric | HistogramMetric;

/** Every metric of the registry, blocks in the order they were made. */
export function* metricsOf(registry: StatRegistry): Iterable<Metric> {
  for (const block of registry.blocks()) yield* metricsOfBlock(registry, block);
  for (const stat of registry.mainStats()) yield named(stat);
  for (const { family, buckets, ...of } of registry.mainHistograms()) {
    const count = buckets.reduce((sum, n) => sum + n, 0);
    yield { kind: 'histogram', family: prometheusName(family), buckets, count, ...of };
  }
}

function named({ name, kind, value, family = name, labels = [] }: MainStat): NumberMetric {
  return { name, kind, value, family: prometheusName(family), labels };
}

function* metricsOfBlock(registry: StatRegistry, block: StatBlock): Iterable<Metric> {
  const sort = blockSorts[block.kind];
  const names = sort.names(block.name);
  for (const [i, slot] of sort.layout.slots.entries()) {
    const value = slot.kind === 'level' ? registry.largest(block.base + i) : registry.sum(block.base + i);
    const { family, labels } = familyOf(names.family, slot.name);
    yield {
      kind: shownKind(slot.kind),
      name: names.prefix + slot.name,
      family,
      labels: labels.length === 0 ? names.labels : [...labels, ...names.labels],
      value,
    };
  }
  yield* codesOf(registry, block, sort);
  for (const [name, at] of sort.histograms) {
    yield {
      kind: 'histogram',
      name: names.prefix + name,
      family: prometheusName(names.family + name),
      labels: names.labels,
      ...readHistogram(registry, block.base + at),
    };
  }
}

/** A code is there from its first response on. */
function* codesOf(registry: StatRegistry, block: StatBlock, { codes, names }: BlockSort): Iterable<NumberMetric> {
  if (codes === null) return;
  const { prefix, family, labels } = names(block.name);
  for (let i = 0; i < codeSlots; i++) {
    const value = registry.sum(block.base + codes + i);
    if (value === 0) continue;
    const code = String(100 + i);
    yield {
      kind: 'counter',
      name: `${prefix}upstream_rq_${code}`,
      family: prometheusName(`${family}upstream_rq`),
      labels: [{ name: 'envoy_response_code', value: code }, ...labels],
      value,
    };
  }
}

/** The count is that of the buckets, so that both agree while the workers go on counting. */
function readHistogram(
  registry: StatRegistry,
  base: number,
): { readonly count: number; readonly sum: number; readonly buckets: Float64Array } {
  const buckets = new Float64Array(histogramBuckets);
  let count = 0;
  if (registry.sum(base) > 0) {
    for (let i = 0; i < histogramBuckets; i++) count += buckets[i] = registry.sum(base + 2 + i);
  }
  return { count, sum: registry.sum(base + 1), buckets };
}

function shownKind(kind: SlotKind): 'counter' | 'gauge' {
  return kind === 'counter' ? 'counter' : 'gauge';
}

/** Families by their names; there are as many as the layout has slots, whatever the number of clusters. */
const families = new Map<string, { readonly family: string; readonly labels: readonly Label[] }>();

/** `downstream_rq_2xx` is `downstream_rq_xx` of class 2. */
function familyOf(sort: string, name: string): { readonly family: string; readonly labels: readonly Label[] } {
  const key = sort + name;
  const known = families.get(key);
  if (known !== undefined) return known;
  const found = /^(.*_rq)_([1-5])xx$/.exec(name);
  const made =
    found === null
      ? { family: prometheusName(key), labels: [] }
      : {
          family: prometheusName(`${sort}${found[1]}_xx`),
          labels: [{ name: 'envoy_response_code_class', value: found[2] ?? '' }],
        };
  families.set(key, made);
  return made;
}

function prometheusName(name: string): string {
  return `envoy_${name.replace(/[^a-zA-Z0-9_]/g, '_')}`;
}
