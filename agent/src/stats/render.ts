/** GET /stats: Envoy's text and JSON, and its refusals of a query it does not understand. */
import { messageOf } from '@chainmail/runtime';
import { type CompiledRegex, compileRegex } from '../policy/regex.ts';
import { type HistogramMetric, type Metric, metricsOf, type NumberMetric } from './metrics.ts';
import { renderPrometheus } from './prometheus.ts';
import { quantiles, supportedQuantiles } from './quantiles.ts';
import type { StatRegistry } from './registry.ts';

export interface StatsResponse {
  readonly status: 200 | 400;
  readonly contentType: string;
  readonly body: string;
}

const textType = 'text/plain; charset=UTF-8';

interface Selection {
  readonly format: 'text' | 'json' | 'prometheus';
  readonly filter: CompiledRegex | null;
  readonly usedOnly: boolean;
  readonly type: 'All' | 'Counters' | 'Gauges' | 'Histograms' | 'TextReadouts';
}

/** query: what stands behind the `?`, decoded. `/stats/prometheus` is `format=prometheus`. */
export function renderStats(registry: StatRegistry, query: URLSearchParams): StatsResponse {
  const selection = parseSelection(query);
  if (typeof selection === 'string') return { status: 400, contentType: textType, body: selection };
  const metrics = selected(registry, selection);
  switch (selection.format) {
    case 'text':
      return { status: 200, contentType: textType, body: renderText(metrics) };
    case 'json':
      return { status: 200, contentType: 'application/json', body: renderJson(metrics) };
    case 'prometheus':
      return { status: 200, contentType: textType, body: renderPrometheus(metrics) };
  }
}

/** The selection, or the text of the refusal. */
function parseSelection(query: URLSearchParams): Selection | string {
  const format = query.get('format') ?? 'text';
  if (format !== 'text' && format !== 'json' && format !== 'prometheus') {
    return 'usage: /stats?format=(json|prometheus|text)\n\n';
  }
  const type = query.get('type') ?? 'All';
  if (type !== 'All' && type !== 'Counters' && type !== 'Gauges' && type !== 'Histograms' && type !== 'TextReadouts') {
    return 'invalid &type= param';
  }
  const pattern = query.get('filter');
  try {
    const filter = pattern === null || pattern === '' ? null : compileRegex(pattern);
    return { format, type, usedOnly: query.has('usedonly'), filter };
  } catch (thrown) {
    return messageOf(thrown);
  }
}

function selected(registry: StatRegistry, { filter, usedOnly, type }: Selection): readonly Metric[] {
  const metrics: Metric[] = [];
  for (const metric of metricsOf(registry)) {
    if (type !== 'All' && !isOfType(metric, type)) continue;
    if (usedOnly && (metric.kind === 'histogram' ? metric.count : metric.value) === 0) continue;
    if (filter === null || filter.finds(metric.name)) metrics.push(metric);
  }
  return metrics.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

function isOfType(metric: Metric, type: Exclude<Selection['type'], 'All'>): boolean {
  switch (type) {
    case 'Counters':
      return metric.kind === 'counter';
    case 'Gauges':
      return metric.kind === 'gauge';
    case 'Histograms':
      return metric.kind === 'histogram';
    case 'TextReadouts':
      return false;
  }
}

function split(metrics: readonly Metric[]): {
  readonly numbers: NumberMetric[];
  readonly histograms: HistogramMetric[];
} {
  const numbers: NumberMetric[] = [];
  const histograms: HistogramMetric[] = [];
  for (const metric of metrics) {
    if (metric.kind === 'histogram') histograms.push(metric);
    else numbers.push(metric);
  }
  return { numbers, histograms };
}

/** Numbers first, then histograms, each sorted. */
function renderText(metrics: readonly Metric[]): string {
  const { numbers, histograms } = split(metrics);
  const lines = numbers.map(({ name, value }) => `${name}: ${value}\n`);
  return lines.join('') + histograms.map((histogram) => `${histogram.name}: ${summary(histogram)}\n`).join('');
}

/** `P50(interval,whole life)`: we keep no interval, and Envoy prints nan for an interval without values. */
function summary({ count, buckets }: HistogramMetric): string {
  if (count === 0) return 'No recorded values';
  const values = quantiles(buckets, count, supportedQuantiles);
  return supportedQuantiles.map((percent, i) => `P${percent}(nan,${short(values[i] ?? 0)})`).join(' ');
}

function short(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function renderJson(metrics: readonly Metric[]): string {
  const { numbers, histograms } = split(metrics);
  const computed = histograms.map(({ name, count, buckets }) => ({
    name,
    values: quantiles(buckets, count, supportedQuantiles).map((value) => ({
      interval: null,
      cumulative: count === 0 ? null : Number(short(value)),
    })),
  }));
  const stats: unknown[] = numbers.map(({ name, value }) => ({ name, value }));
  if (computed.length > 0) {
    stats.push({ histograms: { supported_quantiles: supportedQuantiles, computed_quantiles: computed } });
  }
  return JSON.stringify({ stats });
}
