/** Values that the runtime may override by key: fractions, numbers. */
import type {
  RuntimeDouble,
  RuntimeFeatureFlag,
  RuntimeFractionalPercent,
} from '@chainmail/xds/proto/envoy/config/core/v3/base';
import type { MessageReader } from './message-reader.ts';

const denominators = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 } as const;

/** As a probability from 0 to 1; above the denominator Envoy takes it as always. */
export function readFraction(r: MessageReader<RuntimeFractionalPercent>): number {
  const configured = r.required('defaultValue', (f) =>
    Math.min(1, f.take('numerator') / f.oneOf('denominator', denominators)),
  );
  return r.runtime.share(r.take('runtimeKey'), configured);
}

/** Whether something is on. */
export function readFeatureFlag(r: MessageReader<RuntimeFeatureFlag>): boolean {
  return r.runtime.flag(r.take('runtimeKey'), r.take('defaultValue') ?? true);
}

export function readRuntimeDouble(r: MessageReader<RuntimeDouble>): number {
  return r.runtime.number(r.take('runtimeKey'), r.take('defaultValue'));
}
