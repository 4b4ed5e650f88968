/** HTTPRoutes on a Service, with the Gateway API's own definition, which comes after the mesh. */
import test from 'ava';
import { answered, call } from './calls.ts';
import { connect, kinds, Undo } from './cluster.ts';
import type { KubeObject } from './kube-api.ts';
import { installed, meshed } from './mesh.ts';
import { deployment, idle, pod, service } from './workloads.ts';

const cluster = connect();
const undo = new Undo();
const definition = 'httproutes.gateway.networking.k8s.io';
let home = '';

/** Control looks every 30 s for definitions that were not there. */
const noticedMs = 90_000;

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly observedGeneration: number;
}

const route = (backend: string): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: canary }
spec:
  parentRefs: [{ group: "", kind: Service, name: web, port: 80 }]
  rules:
    - matches: [{ path: { type: PathPrefix, value: /next } }]
      filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /now } } }]
      backendRefs: [{ name: ${backend}, port: 80 }]
    - backendRefs: [{ name: web, port: 80 }]
`;

test.before(async () => {
  await installed(cluster);
  home = await cluster.namespace(undo, meshed);
  const objects = ['web', 'canary'].flatMap((name) => [deployment(name), service(name)]);
  await cluster.api.apply([pod('client', { container: idle }), ...objects], home);
  await Promise.all(['web', 'canary'].map((name) => cluster.available(home, name)));
  await cluster.ready(home, 'client');
  const from = { namespace: home, pod: 'client' };
  for (const name of ['web', 'canary']) await answered(cluster, from, `http://${name}/`);
  const { code, stderr } = await cluster.kubectl(['apply', '--server-side', '-f', cluster.httpRouteDefinition]);
  if (code !== 0) throw new Error(stderr);
  undo.teardown(() => cluster.api.remove(kinds.CustomResourceDefinition, undefined, definition));
  await cluster.api.until(kinds.CustomResourceDefinition, undefined, definition, (o) =>
    (o?.['status']?.conditions ?? []).some((c: Condition) => c.type === 'Established' && c.status === 'True'),
  );
});
test.after.always(() => undo.run());

async function applied(backend: string): Promise<void> {
  const { code, stderr } = await cluster.kubectl(['apply', '-n', home, '-f', '-'], route(backend));
  if (code !== 0) throw new Error(stderr);
}

/** Once control says this of the route's present generation. */
function told(type: string, status: string): Promise<KubeObject | undefined> {
  return cluster.api.until(
    kinds.HTTPRoute,
    home,
    'canary',
    (o) => conditionsOf(o).some((c) => c.type === type && c.status === status && isCurrent(o, c)),
    noticedMs,
  );
}

function conditionsOf(o: KubeObject | undefined): readonly Condition[] {
  const parents: readonly { readonly controllerName: string; readonly conditions: readonly Condition[] }[] =
    o?.['status']?.parents ?? [];
  return parents.find((p) => p.controllerName === 'chainmail.dev/control')?.conditions ?? [];
}

const isCurrent = (o: KubeObject | undefined, { observedGeneration }: Condition): boolean =>
  observedGeneration === (o?.metadata as { generation?: number } | undefined)?.generation;

/** The path that the application saw, and which it was. */
async function seen(path: string): Promise<{ readonly status: number; readonly pod?: string; readonly path?: string }> {
  const { status, text } = await call(cluster, { namespace: home, pod: 'client' }, `http://web${path}`);
  return status === 200 ? { status, ...JSON.parse(text) } : { status };
}

test.serial('a route is accepted and programmed, and sends a prefix elsewhere, rewritten', async (t) => {
  t.regex((await seen('/next/a')).pod ?? '', /^web-/);
  await applied('canary');
  await told('Accepted', 'True');
  await told('Programmed', 'True');
  const next = await seen('/next/a');
  t.regex(next.pod ?? '', /^canary-/);
  t.is(next.path, '/now/a');
  t.regex((await seen('/other')).pod ?? '', /^web-/);
});

test.serial('a backend that is not there is told, and costs its own rule only', async (t) => {
  await applied('nobody');
  const route = await told('ResolvedRefs', 'False');
  t.is(conditionsOf(route).find((c) => c.type === 'ResolvedRefs')?.reason, 'BackendNotFound');
  await told('Programmed', 'True');
  t.is((await seen('/next/a')).status, 500);
  t.regex((await seen('/other')).pod ?? '', /^web-/);
});

test.serial('the definition refuses a route without sense, in its own words', async (t) => {
  const { code, stderr } = await cluster.kubectl(
    ['apply', '-n', home, '-f', '-'],
    route('canary').replace('PathPrefix', 'Suffix'),
  );
  t.not(code, 0);
  t.regex(stderr, /Unsupported value: "Suffix"/);
});
