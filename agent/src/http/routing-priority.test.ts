/** HIGH priority and subsets as requests meet them. */
import test from 'ava';
import { metadataMatch } from '../config/metadata.ts';
import type { RouteActionSpec } from '../model/http.ts';
import { FakeWorker } from './testing/fake-worker.ts';
import { endpoint, prefixRoute, routeAction, routeConfig } from './testing/specs.ts';

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';
const circuit = { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1, maxRetries: 3 };

const routes = (table: Readonly<Record<string, Partial<RouteActionSpec>>>) =>
  routeConfig(Object.entries(table).map(([path, action]) => prefixRoute(path, routeAction(action))));

test('a request of high priority is admitted while the others are over their limit, on a connection of its own', (t) => {
  const w = new FakeWorker({ routes: routes({ '/high': { highPriority: true }, '/': {} }), cluster: { circuit } });
  const first = w.client();
  first.feed(get('/a'));
  const second = w.client();
  second.feed(get('/b'));
  t.regex(second.take(), /^HTTP\/1\.1 503 .*\r\nx-envoy-overloaded: true\r\n/s);
  const high = w.client();
  high.feed(get('/high'));
  t.is(w.dialled.length, 2);
  t.regex(w.upstream(1).take(), /^GET \/high /);
  t.is(w.clusterStat('circuit_breakers.default.rq_open'), 1);
  t.is(w.clusterStat('circuit_breakers.high.rq_open'), 0);
  w.upstream(0).feed(answer);
  w.upstream(1).feed(answer);
  t.regex(first.take(), /^HTTP\/1\.1 200 /);
  t.regex(high.take(), /^HTTP\/1\.1 200 /);
  high.feed(get('/high'));
  t.regex(w.upstream(1).take(), /^GET \/high /, 'each priority has its pool');
  w.upstream(1).feed(answer);
  t.is(w.clusterStat('upstream_cx_total'), 2);
});

test('the subset of a route, and of a weighted cluster, decides about the host', (t) => {
  const subset = (stage: string) => metadataMatch({ stage });
  const at = (port: number, stage: string) => ({
    ...endpoint(port),
    metadata: { stage: { value: JSON.stringify(stage) } },
  });
  const w = new FakeWorker({
    routes: routes({
      '/prod': { clusters: [{ name: 'app', weight: 1, subset: subset('prod') }] },
      '/test': { clusters: [{ name: 'app', weight: 1, subset: subset('test') }] },
      '/weighted': {
        clusters: [
          { name: 'app', weight: 0, subset: subset('prod') },
          { name: 'app', weight: 1, subset: subset('dev') },
        ],
      },
    }),
    cluster: {
      subsets: {
        fallback: 'none',
        defaultSubset: metadataMatch({}),
        selectors: [{ keys: ['stage'], fallback: 'not-defined', fallbackKeys: [], singleHost: false }],
        panicModeAny: false,
        listAsAny: false,
        localityWeightAware: false,
        scaleLocalityWeight: false,
      },
    },
    endpoints: [at(1, 'prod'), at(2, 'dev')],
  });
  w.client().feed(get('/prod'));
  w.client().feed(get('/weighted'));
  t.deepEqual(
    w.dialled.map((d) => d.options.address.port),
    [1, 2],
  );
  const none = w.client();
  none.feed(get('/test'));
  t.regex(none.take(), /^HTTP\/1\.1 503 .*no healthy upstream$/s);
  t.is(w.clusterStat('lb_subsets_selected'), 2);
});
