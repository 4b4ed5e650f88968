/** meshctl's contract on Kubernetes, and what only a cluster has: checks, policies that the API server refuses. */
import path from 'node:path';
import test from 'ava';
import { meshctlContract } from '../meshctl/contract.ts';
import { connect, kinds } from './cluster.ts';
import { installed } from './mesh.ts';

const cluster = connect();
const manifests = path.resolve(import.meta.dirname, '../../manifests/demo');
const namespaces = ['shop', 'outside'];

test.before(async () => {
  await installed(cluster);
  const { code, stderr } = await cluster.kubectl(['apply', '-f', manifests]);
  if (code !== 0) throw new Error(stderr);
  const names = ['web', 'catalog', 'inventory-v1', 'inventory-v2', 'load'];
  await Promise.all(names.map((name) => cluster.available('shop', name, 120_000)));
  await cluster.available('outside', 'intruder');
});
test.after.always(async () => {
  for (const name of namespaces) await cluster.api.remove(kinds.Namespace, undefined, name);
  // Another file that has them as well can make them only once they are gone.
  for (const name of namespaces) await cluster.api.until(kinds.Namespace, undefined, name, (o) => o === undefined);
});

meshctlContract(test, () => ({
  meshctl: (args) => cluster.meshctl([...args, '--target', 'kubernetes']),
  plainPod: 'outside/intruder',
}));

test.serial('check: everything is well, in table, short and JSON', async (t) => {
  const table = await cluster.meshctl(['check', '--wait', '--timeout', '60s']);
  t.is(table.code, 0, table.stdout);
  t.regex(table.stdout, /^√ a pod gets an agent/m);
  t.regex(table.stdout, /\n\nStatus check results are √\n$/);
  const { stdout } = await cluster.meshctl(['check', '-o', 'json']);
  t.true((JSON.parse(stdout) as { success: boolean }).success);
});

test.serial('check --fail-within: certificates that end too soon fail it, named', async (t) => {
  const { code, stdout } = await cluster.meshctl(['check', '--fail-within', '48h', '-o', 'short']);
  t.is(code, 1);
  t.regex(stdout, /× the agents' certificates last\n(.*\n)*? +shop\/web-\S+ ends in 23h/);
});

test.serial('check --pre says that a mesh is there already', async (t) => {
  const { code, stdout } = await cluster.meshctl(['check', '--pre', '-o', 'short']);
  t.is(code, 1);
  t.regex(stdout, /× no mesh is installed yet\n +version \S+ is installed\n +hint: meshctl upgrade/);
});

const policy = (kind: string, spec: object): string =>
  JSON.stringify({ apiVersion: 'chainmail.dev/v1alpha1', kind, metadata: { name: 'bad', namespace: 'shop' }, spec });

const rules = (...list: readonly object[]): object => ({ authorization: { rules: list } });
const allow = { action: 'Allow', operation: { methods: ['GET'] } };

const refused: readonly (readonly [string, string, object, RegExp])[] = [
  [
    'a word that is none',
    'MeshPolicy',
    { mtls: { mode: 'strict' } },
    /Unsupported value: "strict": supported values: .*"STRICT"/,
  ],
  ['a target', 'MeshPolicy', { targetRefs: [{}] }, /a MeshPolicy covers its whole namespace; remove the field/],
  [
    'what is not supported',
    'SecurityPolicy',
    { ...rules(allow), jwt: {} },
    /spec\.jwt: .*is not supported yet; remove it/,
  ],
  ['one target', 'SecurityPolicy', { ...rules(allow), targetRef: {} }, /write a list: targetRefs/],
  [
    "another namespace's Service",
    'SecurityPolicy',
    { ...rules(allow), targetRefs: [{ kind: 'Service', name: 'a', namespace: 'b' }] },
    /a policy attaches to Services of its own namespace only/,
  ],
  [
    'a rule for everybody',
    'SecurityPolicy',
    rules({ action: 'Allow' }),
    /matches every request; set authorization\.defaultAction/,
  ],
  ['nobody', 'SecurityPolicy', rules({ action: 'Allow', principal: {} }), /names nobody; add identities, namespaces/],
  [
    'two names',
    'SecurityPolicy',
    rules({ ...allow, name: 'a' }, { ...allow, name: 'a' }),
    /two rules have the same name/,
  ],
  [
    'no range',
    'SecurityPolicy',
    rules({ action: 'Deny', principal: { clientCIDRs: ['10.0.0.0/33'] } }),
    /must be an address range such as 10\.0\.0\.0\/8/,
  ],
  [
    'no method',
    'SecurityPolicy',
    rules({ action: 'Allow', operation: { methods: ['get'] } }),
    /must be an HTTP method in capitals/,
  ],
  [
    'no duration',
    'BackendTrafficPolicy',
    { timeout: { tcp: { connectTimeout: '5' } } },
    /must be a duration such as 250ms, 10s/,
  ],
  [
    'a spelling',
    'BackendTrafficPolicy',
    { healthCheck: { passive: { consecutive5xxErrors: 3 } } },
    /write consecutive5XxErrors/,
  ],
];

for (const [what, kind, spec, message] of refused) {
  test.serial(`kubectl is told what to write instead: ${kind}, ${what}`, async (t) => {
    const { code, stderr } = await cluster.kubectl(['apply', '-f', '-'], policy(kind, spec));
    t.not(code, 0);
    t.regex(stderr, message);
  });
}
