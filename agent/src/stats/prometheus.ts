/** Prometheus' text format, with the names, labels and buckets that Envoy's dashboards expect. */
import type { Label } from './blocks.ts';
import type { HistogramMetric, Metric } from './metrics.ts';
import { cumulative, prometheusBounds } from './quantiles.ts';

const kinds = ['counter', 'gauge', 'histogram'] as const;

/** One `# TYPE` for each family; counters, then gauges, then histograms, families sorted. */
export function renderPrometheus(metrics: readonly Metric[]): string {
  const families = new Map<string, Metric[]>();
  for (const metric of metrics) {
    const key = `${metric.kind} ${metric.family}`;
    const family = families.get(key);
    if (family === undefined) families.set(key, [metric]);
    else family.push(metric);
  }
  const sorted = [...families.values()].sort(byKindAndName);
  return sorted.map(renderFamily).join('');
}

function byKindAndName([a]: readonly Metric[], [b]: readonly Metric[]): number {
  if (a === undefined || b === undefined) return 0;
  if (a.kind !== b.kind) return kinds.indexOf(a.kind) - kinds.indexOf(b.kind);
  return a.family < b.family ? -1 : a.family > b.family ? 1 : 0;
}

function renderFamily(family: readonly Metric[]): string {
  const [first] = family;
  if (first === undefined) return '';
  const lines = family.map((metric) =>
    metric.kind === 'histogram'
      ? renderHistogram(metric)
      : `${metric.family}{${labelText(metric.labels)}} ${metric.value}\n`,
  );
  return `# TYPE ${first.family} ${first.kind}\n${lines.join('')}`;
}

function renderHistogram({ family, labels, buckets, count, sum }: HistogramMetric): string {
  const own = labelText(labels);
  const lead = own === '' ? '' : `${own},`;
  const counts = cumulative(buckets, prometheusBounds);
  const lines = prometheusBounds.map((bound, i) => `${family}_bucket{${lead}le="${bound}"} ${counts[i] ?? 0}\n`);
  lines.push(`${family}_bucket{${lead}le="+Inf"} ${count}\n`);
  lines.push(`${family}_sum{${own}} ${sum}\n`, `${family}_count{${own}} ${count}\n`);
  return lines.join('');
}

function labelText(labels: readonly Label[]): string {
  return labels.map(({ name, value }) => `${name}="${escapeLabel(value)}"`).join(',');
}

function escapeLabel(value: string): string {
  return value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));
}
