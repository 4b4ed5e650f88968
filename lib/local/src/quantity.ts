/** resourceFieldRef over the quantities of a container's resources. */
import { parseQuantity } from '@chainmail/kube';
import type { Resources } from './pod.ts';

const nanos = 1_000_000_000n;

/** Whole base units (cores, bytes), rounded up; undefined when it is not a quantity. */
export function wholeUnits(text: string | number): number | undefined {
  const amount = parseQuantity(text);
  return amount === undefined ? undefined : Number(divideUp(amount, nanos));
}

const divideUp = (amount: bigint, unit: bigint): bigint => (amount + unit - 1n) / unit;

/** The value of `limits.cpu` and the like, divided by the divisor and rounded up, as the downward API gives it. */
export function resourceValue(resources: Resources | undefined, resource: string, divisor = '1'): string | undefined {
  const [group, name] = resource.split('.');
  if ((group !== 'limits' && group !== 'requests') || name === undefined) return undefined;
  const amount = parseQuantity(resources?.[group]?.[name] ?? '');
  const unit = parseQuantity(divisor === '0' ? '1' : divisor);
  if (amount === undefined || unit === undefined || unit === 0n) return undefined;
  return String(divideUp(amount, unit));
}
