/** Kubernetes quantities (`100m`, `64Mi`) as numbers, and resourceFieldRef over them. */
import type { Resources } from './pod.ts';

const factors: Readonly<Record<string, number>> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** The value in base units (cores, bytes); undefined when it is not a quantity. */
export function parseQuantity(text: string | number): number | undefined {
  const match = /^([0-9]+(?:\.[0-9]+)?)([a-zA-Z]*)$/.exec(String(text));
  const factor = factors[match?.[2] ?? '?'];
  return match === null || factor === undefined ? undefined : Number(match[1]) * factor;
}

/** The value of `limits.cpu` and the like, divided by the divisor and rounded up, as the downward API gives it. */
export function resourceValue(resources: Resources | undefined, resource: string, divisor = '1'): string | undefined {
  const [group, name] = resource.split('.');
  if ((group !== 'limits' && group !== 'requests') || name === undefined) return undefined;
  const amount = parseQuantity(resources?.[group]?.[name] ?? '');
  const unit = parseQuantity(divisor === '0' ? '1' : divisor);
  if (amount === undefined || unit === undefined || unit === 0) return undefined;
  return String(Math.ceil(amount / unit - 1e-9));
}
