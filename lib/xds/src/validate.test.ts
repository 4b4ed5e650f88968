import type { DescMessage } from '@bufbuild/protobuf';
import { BootstrapSchema } from '@chainmail/xds/proto/envoy/config/bootstrap/v3/bootstrap';
import { ClusterSchema } from '@chainmail/xds/proto/envoy/config/cluster/v3/cluster';
import { RouteConfigurationSchema } from '@chainmail/xds/proto/envoy/config/route/v3/route';
import test from 'ava';
import { describeProblem } from './field-error.ts';
import { parseEnvoyJson } from './json.ts';
import { validateMessage } from './validate.ts';

function problems(schema: DescMessage, json: object): readonly string[] {
  return validateMessage(schema, parseEnvoyJson(schema, json)).map(describeProblem);
}

test('numbers, enums, text, nested messages and the contents of an Any', (t) => {
  const tls = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';
  t.deepEqual(
    problems(ClusterSchema, {
      name: '',
      type: 99,
      connect_timeout: '0s',
      outlier_detection: { max_ejection_percent: 101 },
      transport_socket: { name: 'tls', typed_config: { '@type': tls, sni: 'x'.repeat(300) } },
    }),
    [
      'name: must be at least 1 character(s) long',
      'type: 99 is not a defined value of envoy.config.cluster.v3.Cluster.DiscoveryType',
      'connect_timeout: must be > 0s',
      'outlier_detection.max_ejection_percent: must be <= 100',
      'transport_socket.typed_config.sni: must be at most 255 bytes long',
    ].sort((a, b) => order(a) - order(b)),
  );
});

/** Fields are checked in the order of the proto. */
function order(problem: string): number {
  return ['name', 'type', 'connect_timeout', 'outlier', 'transport'].findIndex((p) => problem.startsWith(p));
}

test('required oneofs and list sizes', (t) => {
  t.deepEqual(
    problems(RouteConfigurationSchema, {
      virtual_hosts: [{ name: 'v', domains: [], routes: [{ match: {}, route: {} }] }],
    }),
    [
      'virtual_hosts[0].domains: must contain at least 1 item(s)',
      'virtual_hosts[0].routes[0].match.path_specifier: one of prefix, path, safe_regex, connect_matcher, path_separated_prefix, path_match_policy is required',
      'virtual_hosts[0].routes[0].route.cluster_specifier: one of cluster, cluster_header, weighted_clusters, cluster_specifier_plugin, inline_cluster_specifier_plugin is required',
    ],
  );
});

test('header names must be header names', (t) => {
  const [problem] = problems(RouteConfigurationSchema, {
    virtual_hosts: [{ name: 'v', domains: ['*'], request_headers_to_remove: ['bad\nname'] }],
  });
  t.is(problem, 'virtual_hosts[0].request_headers_to_remove[0]: must be a valid header name');
});

test('a plain bootstrap has no problem', (t) => {
  const json = {
    node: { id: 'a', cluster: 'b' },
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
    static_resources: { clusters: [{ name: 'a', connect_timeout: '1s', type: 'STATIC' }] },
  };
  t.deepEqual(problems(BootstrapSchema, json), []);
});
