/** The tables of `meshctl config`, held against golden files. UPDATE_GOLDEN=1 writes them anew. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { renderTable } from '../output/table.ts';
import { clusterColumns, endpointColumns, listenerColumns, routeColumns } from './columns.ts';
import type { ConfigDump } from './dump.ts';
import { clusterRows, endpointRows, listenerRows, routeRows } from './rows.ts';

const testdata = path.join(import.meta.dirname, 'testdata');
const dump = JSON.parse(fs.readFileSync(path.join(testdata, 'config-dump.json'), 'utf8')) as ConfigDump;

function golden(t: ExecutionContext, name: string, text: string): void {
  const file = path.join(testdata, `${name}.golden.txt`);
  if (process.env['UPDATE_GOLDEN'] === '1') fs.writeFileSync(file, `${text}\n`);
  t.is(`${text}\n`, fs.readFileSync(file, 'utf8'));
}

test('golden: listeners', (t) => golden(t, 'listeners', renderTable(listenerRows(dump), listenerColumns)));
test('golden: clusters', (t) => golden(t, 'clusters', renderTable(clusterRows(dump), clusterColumns)));
test('golden: routes', (t) => golden(t, 'routes', renderTable(routeRows(dump), routeColumns)));

const host = (address: string, health: Readonly<Record<string, unknown>>) => ({
  address: { socket_address: { address, port_value: 80 } },
  stats: [
    { name: 'rq_total', value: '7' },
    { name: 'rq_error', value: '2' },
  ],
  health_status: health,
  weight: 3,
});

test('golden: endpoints', (t) => {
  const hosts = [
    host('10.0.0.1', { eds_health_status: 'HEALTHY' }),
    host('fd00::1', { eds_health_status: 'HEALTHY', failed_outlier_check: true }),
    host('10.0.0.3', { eds_health_status: 'UNHEALTHY', failed_active_health_check: true }),
  ];
  const rows = endpointRows({ cluster_statuses: [{ name: 'c', host_statuses: hosts }, { name: 'empty' }] });
  golden(t, 'endpoints', renderTable(rows, endpointColumns));
});

test('an empty page is an empty table', (t) => {
  t.deepEqual([listenerRows({}), clusterRows({}), routeRows({}), endpointRows({})], [[], [], [], []]);
});
