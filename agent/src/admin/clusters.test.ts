import { ManualClock } from '@chainmail/runtime';
import test from 'ava';
import { environment } from '../config/testing/compile.ts';
import type { HostState } from '../model/update.ts';
import { LiveConfig } from '../xds/live-config.ts';
import { clustersResponse, sumHosts } from './clusters.ts';

const host = (more: Partial<HostState> = {}): HostState => ({
  address: '10.0.0.1:80',
  hostname: '',
  weight: 1,
  priority: 0,
  locality: 'r/z/s',
  flags: [],
  cxActive: 1,
  cxTotal: 2,
  cxConnectFail: 0,
  rqActive: 0,
  rqTotal: 5,
  rqSuccess: 4,
  rqError: 1,
  rqTimeout: 0,
  ejections: 0,
  ...more,
});

test('workers are added up: numbers by sum, flags by union', (t) => {
  const one = [{ cluster: 'a', addedViaApi: false, hosts: [host()] }];
  const two = [{ cluster: 'a', addedViaApi: false, hosts: [host({ flags: ['failed_outlier_check'], ejections: 1 })] }];
  const [sum] = sumHosts([one, two]);
  t.is(sum?.hosts.length, 1);
  t.like(sum?.hosts[0], { cxActive: 2, rqTotal: 10, ejections: 1, flags: ['failed_outlier_check'] });
});

const live = new LiveConfig({
  env: environment(),
  clock: new ManualClock(),
  cds: false,
  lds: false,
  ownClusters: new Set(),
  publish: () => undefined,
});

test('text and JSON carry the same', (t) => {
  const clusters = [
    { cluster: 'a', addedViaApi: false, hosts: [host({ flags: ['failed_outlier_check'], address: '[fd00::1]:80' })] },
  ];
  const text = clustersResponse(clusters, live, new URLSearchParams()).body;
  t.true(text.includes('a::[fd00::1]:80::rq_total::5\n'));
  t.true(text.includes('a::[fd00::1]:80::health_flags::/failed_outlier_check\n'));
  t.true(text.includes('a::[fd00::1]:80::zone::z\n'));
  const { cluster_statuses } = JSON.parse(clustersResponse(clusters, live, new URLSearchParams('format=json')).body);
  t.like(cluster_statuses[0].host_statuses[0], {
    address: { socket_address: { address: 'fd00::1', port_value: 80 } },
    health_status: { failed_outlier_check: true },
    locality: { region: 'r', zone: 'z', sub_zone: 's' },
  });
});

test('clusters by a regular expression anywhere in their names; a broken one is refused', (t) => {
  const clusters = ['web', 'web-2', 'db'].map((cluster) => ({ cluster, addedViaApi: false, hosts: [] }));
  const { body } = clustersResponse(clusters, live, new URLSearchParams('filter=eb-[0-9]'));
  t.deepEqual(
    body.split('\n').map((line) => line.split('::')[0]),
    ['web-2', 'web-2', ''],
  );
  t.is(clustersResponse(clusters, live, new URLSearchParams('filter=[bad')).status, 400);
});
