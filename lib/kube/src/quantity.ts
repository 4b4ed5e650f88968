/** Kubernetes quantities, exact: `100m`, `0.5`, `64Mi`, `1e3` (apimachinery's resource.Quantity). */

const suffixes: Readonly<Record<string, readonly [bigint, bigint]>> = {
  n: [1n, 1_000_000_000n],
  u: [1n, 1_000_000n],
  m: [1n, 1000n],
  '': [1n, 1n],
  k: [1000n, 1n],
  M: [1000n ** 2n, 1n],
  G: [1000n ** 3n, 1n],
  T: [1000n ** 4n, 1n],
  P: [1000n ** 5n, 1n],
  E: [1000n ** 6n, 1n],
  Ki: [1024n, 1n],
  Mi: [1024n ** 2n, 1n],
  Gi: [1024n ** 3n, 1n],
  Ti: [1024n ** 4n, 1n],
  Pi: [1024n ** 5n, 1n],
  Ei: [1024n ** 6n, 1n],
};

/** Nanos: the finest step a quantity has. Finer digits round up, as Kubernetes does. */
const nanos = 1_000_000_000n;

/** The value in nanos (10^-9), or undefined for what is no quantity or negative. */
export function parseQuantity(value: string | number): bigint | undefined {
  const match = /^\+?(\d{0,18})(?:\.(\d{0,18}))?(?:[eE]([+-]?\d{1,2})|([a-zA-Z]{0,2}))$/.exec(String(value));
  if (match === null) return undefined;
  const [, whole = '', fraction = '', exponentText, suffix = ''] = match;
  const scale = suffixes[suffix];
  if (scale === undefined || whole + fraction === '') return undefined;
  const exponent = Number(exponentText ?? 0) - fraction.length;
  const [up, down] = exponent >= 0 ? [10n ** BigInt(exponent), 1n] : [1n, 10n ** BigInt(-exponent)];
  const numerator = BigInt(whole + fraction) * scale[0] * up * nanos;
  const denominator = scale[1] * down;
  return (numerator + denominator - 1n) / denominator;
}
