/** AccessLogFilter: which records a log takes. */
import type {
  AccessLogFilter,
  ComparisonFilter,
  RuntimeFilter,
} from '@chainmail/xds/proto/envoy/config/accesslog/v3/accesslog';
import { responseFlags } from '../log/response-flags.ts';
import type { LogFilterSpec } from '../model/log.ts';
import type { MessageReader } from './message-reader.ts';
import { readHeaderMatch } from './string-match.ts';

const operations = { EQ: 'eq', GE: 'ge', LE: 'le', NE: 'ne' } as const;
const denominators = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 } as const;

export function readLogFilter(r: MessageReader<AccessLogFilter>): LogFilterSpec {
  const filter = r.take('filterSpecifier');
  switch (filter.case) {
    case 'statusCodeFilter':
      return r.within('statusCodeFilter', filter.value, (f) => ({
        kind: 'status',
        ...f.required('comparison', readComparison),
      }));
    case 'durationFilter':
      return r.within('durationFilter', filter.value, (f) => ({
        kind: 'duration',
        ...f.required('comparison', readComparison),
      }));
    case 'headerFilter':
      return r.within('headerFilter', filter.value, (f) => ({
        kind: 'header',
        header: f.required('header', readHeaderMatch),
      }));
    case 'responseFlagFilter':
      return r.within('responseFlagFilter', filter.value, (f) => {
        const flags = f.take('flags');
        const unknown = flags.find((flag) => !Object.hasOwn(responseFlags, flag));
        if (unknown !== undefined) throw f.unsupported('flags', `'${unknown}' is a flag that is never set here`);
        return { kind: 'flags', flags };
      });
    case 'runtimeFilter':
      return r.within('runtimeFilter', filter.value, readSampling);
    case 'notHealthCheckFilter':
      // No request is marked as a health check before a filter that does so is there.
      return r.within('notHealthCheckFilter', filter.value, () => ({ kind: 'and', of: [] }));
    case 'andFilter':
      return r.within('andFilter', filter.value, (f) => ({ kind: 'and', of: f.each('filters', readLogFilter) }));
    case 'orFilter':
      return r.within('orFilter', filter.value, (f) => ({ kind: 'or', of: f.each('filters', readLogFilter) }));
    case undefined:
      throw r.invalid('filterSpecifier', 'is required');
    default:
      throw r.unsupported(filter.case);
  }
}

function readComparison(r: MessageReader<ComparisonFilter>): {
  readonly op: 'eq' | 'ge' | 'le' | 'ne';
  readonly value: number;
} {
  const value = r.required('value', (v) => v.runtime.whole(v.take('runtimeKey'), v.take('defaultValue')));
  return { op: r.oneOf('op', operations), value };
}

function readSampling(r: MessageReader<RuntimeFilter>): LogFilterSpec {
  r.take('useIndependentRandomness');
  const share = r.inside('percentSampled', (p) => p.take('numerator') / p.oneOf('denominator', denominators)) ?? 0;
  return { kind: 'sampled', share: r.runtime.share(r.take('runtimeKey'), Math.min(1, share)) };
}
