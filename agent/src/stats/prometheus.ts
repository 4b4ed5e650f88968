/** Prometheus' text format, with the names, labels and buckets that Envoy's dashboards expect. */
import type { Label } from './blocks.ts';
import type { HistogramMetric, Metric } from './metrics.ts';
import { cumulative, prometheusBounds } from './quantiles.ts';

const kinds = ['counter', 'gauge', 'histogram'] as const;

/** One `# TYPE` for each family; counters, then gauges, then histograms, families sorted. */
export function renderPrometheus(metrics: readonly Metric[]): string {
  const sorted = kinds.flatMap((kind) => familiesOf(metrics.filter((metric) => metric.kind === kind)));
  return sorted.map(renderFamily).join('');
}

function familiesOf(metrics: readonly Metric[]): readonly (readonly Metric[])[] {
  const families = new Map<string, Metric[]>();
  for (const metric of metrics) {
    const family = families.get(metric.family);
    if (family === undefined) families.set(metric.family, [metric]);
    else family.push(metric);
  }
  return [...families].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, family]) => family);
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
  if (!/[\\"\n]/.test(value)) return value;
  return value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));
}
