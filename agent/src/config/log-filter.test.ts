/** Filters of access logs from Envoy's messages. */
import test from 'ava';
import { hcm, type Json, listenerOf, listenerWith, types } from './testing/compile.ts';

function filterOf(filter: Json): unknown {
  const log = { name: 'log', filter, typed_config: { '@type': types.stdoutLog } };
  const { spec } = listenerOf(listenerWith([hcm({ access_log: [log] })]));
  const terminal = spec.chains[0]?.terminal;
  return terminal?.kind === 'http_connection_manager' ? terminal.accessLog[0]?.filter : undefined;
}

const comparison = { op: 'GE', value: { default_value: 500, runtime_key: 'x' } };

test('every filter that is implemented', (t) => {
  t.deepEqual(
    filterOf({
      and_filter: {
        filters: [
          { status_code_filter: { comparison } },
          {
            or_filter: {
              filters: [
                { duration_filter: { comparison: { op: 'LE', value: { default_value: 5, runtime_key: 'y' } } } },
                { not_health_check_filter: {} },
              ],
            },
          },
          { response_flag_filter: { flags: ['UF'] } },
          { header_filter: { header: { name: 'X-A' } } },
          { runtime_filter: { runtime_key: 'z', percent_sampled: { numerator: 25 } } },
        ],
      },
    }),
    {
      kind: 'and',
      of: [
        { kind: 'status', op: 'ge', value: 500 },
        {
          kind: 'or',
          of: [
            { kind: 'duration', op: 'le', value: 5 },
            { kind: 'and', of: [] },
          ],
        },
        { kind: 'flags', flags: ['UF'] },
        {
          kind: 'header',
          header: { name: 'x-a', match: { kind: 'present', present: true }, invert: false, treatMissingAsEmpty: false },
        },
        { kind: 'sampled', share: 0.25 },
      ],
    },
  );
});

test('others are refused by name', (t) => {
  t.regex(
    t.throws(() => filterOf({ traceable_filter: {} }))?.message ?? '',
    /filter\.traceable_filter: not implemented/,
  );
  t.regex(t.throws(() => filterOf({ grpc_status_filter: {} }))?.message ?? '', /filter\.grpc_status_filter: not impl/);
});
