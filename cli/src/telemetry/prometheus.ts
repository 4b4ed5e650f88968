/**
 * Reads the Prometheus text format (exposition format 0.0.4) as far as agents and Envoy write it: samples with
 * labels. Comments, time stamps and exemplars are passed over; a line that is none of these is an error with its number.
 */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const linePattern = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?(?:\s+#.*)?$/;
const labelPattern = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"\s*,?\s*/y;

const escapes: Readonly<Record<string, string>> = { n: '\n', '\\': '\\', '"': '"' };

function parseLabels(text: string, line: number): Record<string, string> {
  const labels: Record<string, string> = {};
  labelPattern.lastIndex = 0;
  let at = 0;
  while (at < text.length) {
    const m = labelPattern.exec(text);
    if (m?.[1] === undefined) throw new Error(`line ${line}: labels are not name="value" pairs: {${text}}`);
    labels[m[1]] = (m[2] ?? '').replace(/\\(.)/g, (_, c: string) => escapes[c] ?? c);
    at = labelPattern.lastIndex;
  }
  return labels;
}

function parseValue(text: string, line: number): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  const value = Number(text);
  if (Number.isNaN(value) && text !== 'NaN') throw new Error(`line ${line}: not a number: ${text}`);
  return value;
}

/** All samples, in order. Throws an Error that names the line. */
export function parsePrometheus(text: string): Sample[] {
  const samples: Sample[] = [];
  for (const [i, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const m = linePattern.exec(line);
    if (m?.[1] === undefined) throw new Error(`line ${i + 1}: not a sample: ${line.slice(0, 100)}`);
    samples.push({ name: m[1], labels: parseLabels(m[2] ?? '', i + 1), value: parseValue(m[3] ?? '', i + 1) });
  }
  return samples;
}
