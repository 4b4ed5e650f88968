import fs from 'node:fs';
import path from 'node:path';
import { system } from '@chainmail/runtime';
import test, { type ExecutionContext } from 'ava';
import { parse, stringify } from 'yaml';
import { customResourceDefinitions } from '../crds/crd.ts';
import type { InstallObject } from './object.ts';
import { objectName } from './object.ts';
import { injectorSettings, installRecord, renderInstall } from './render.ts';
import { defaultInstallValues, installValues } from './values.ts';

const testdata = path.join(import.meta.dirname, '../testdata');
const text = (objects: readonly InstallObject[]): string =>
  objects.map((o) => stringify(o, { lineWidth: 0, aliasDuplicateObjects: false })).join('---\n');

/** UPDATE_GOLDEN=1 writes it anew: read the difference before you commit it. */
function golden(t: ExecutionContext, name: string, rendered: string): void {
  const file = path.join(testdata, `${name}.golden.yaml`);
  if (process.env['UPDATE_GOLDEN'] === '1') fs.writeFileSync(file, rendered);
  t.is(rendered, fs.readFileSync(file, 'utf8'));
}

const all = renderInstall(defaultInstallValues);
const ofKind = (kind: string, objects = all): readonly InstallObject[] => objects.filter((o) => o.kind === kind);

interface PodTemplate {
  readonly spec: {
    readonly serviceAccountName: string;
    readonly automountServiceAccountToken: boolean;
    readonly securityContext: Readonly<Record<string, unknown>>;
    readonly containers: readonly Readonly<Record<string, unknown>>[];
    readonly volumes: readonly Readonly<Record<string, unknown>>[];
    readonly hostNetwork?: boolean;
  };
}
const podsOf = (objects: readonly InstallObject[]): readonly PodTemplate['spec'][] =>
  ofKind('Deployment', objects).map((d) => (d['spec'] as { template: PodTemplate }).template.spec);

test('golden: the definitions', (t) => golden(t, 'crds', text(customResourceDefinitions())));

test('golden: an installation with every value at its default', (t) => {
  golden(t, 'install', text(all.filter((o) => o.kind !== 'CustomResourceDefinition')));
});

test('golden: an installation with many values changed', (t) => {
  const values = installValues({
    trustDomain: 'prod.example',
    image: { registry: 'registry.example/mesh', tag: 'abc', pullSecrets: [{ name: 'pull' }] },
    control: {
      replicas: 3,
      nodeSelector: { pool: 'system' },
      tolerations: [{ key: 'x', operator: 'Exists', effect: 'NoSchedule' }],
      priorityClassName: 'system-cluster-critical',
    },
    injector: { image: 'registry.example/other:1', logLevel: 'debug' },
    agent: { certificateTtlSeconds: 600, resources: { limits: { memory: '1Gi' } } },
    networkPolicies: { enabled: false },
  });
  golden(t, 'install-changed', text(renderInstall(values).filter((o) => o.kind !== 'CustomResourceDefinition')));
});

test('every object has a name of its own and carries the label it is found by', (t) => {
  t.is(new Set(all.map((o) => `${o.apiVersion} ${objectName(o)}`)).size, all.length);
  for (const o of all) t.is(o.metadata.labels?.['app.kubernetes.io/part-of'], 'chainmail', objectName(o));
});

test('what others need comes first, and the webhook last', (t) => {
  const kindsInOrder = all.map((o) => o.kind);
  t.is(kindsInOrder[0], 'Namespace');
  t.is(kindsInOrder.at(-1), 'MutatingWebhookConfiguration');
  t.true(kindsInOrder.lastIndexOf('CustomResourceDefinition') < kindsInOrder.indexOf('Deployment'));
  t.true(kindsInOrder.lastIndexOf('RoleBinding') < kindsInOrder.indexOf('Deployment'));
});

test('the pods satisfy every control of Pod Security "restricted"', (t) => {
  const pods = podsOf(all);
  t.is(pods.length, 3);
  const allowed = new Set(['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'projected', 'secret']);
  for (const pod of pods) {
    t.is(pod.hostNetwork, undefined);
    t.is(pod.securityContext['runAsNonRoot'], true);
    t.not(pod.securityContext['runAsUser'], 0);
    t.deepEqual(pod.securityContext['seccompProfile'], { type: 'RuntimeDefault' });
    for (const v of pod.volumes) for (const k of Object.keys(v)) t.true(k === 'name' || allowed.has(k), k);
    for (const c of pod.containers) {
      t.like(c['securityContext'], {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    }
  }
});

test('rights: no wildcard, Secrets only of our own namespace, and read by name', (t) => {
  const roles = [...ofKind('ClusterRole'), ...ofKind('Role')];
  for (const role of roles) {
    const rules = role['rules'] as readonly Record<string, readonly string[] | undefined>[];
    for (const r of rules) {
      for (const list of Object.values(r)) t.false(list?.includes('*'), objectName(role));
      if (r['resources']?.includes('secrets') !== true) continue;
      t.is(role.kind, 'Role');
      t.true(r['resourceNames'] !== undefined || r['verbs']?.join() === 'create', objectName(role));
    }
  }
  const bindings = [...ofKind('ClusterRoleBinding'), ...ofKind('RoleBinding')];
  for (const b of bindings) t.true(roles.some((r) => r.metadata.name === (b['roleRef'] as { name: string }).name));
});

/** `core | configmaps, name \`x\` | get, patch | cluster` of one program's table, as lines to compare. */
function documented(section: string): readonly string[] {
  const text = fs.readFileSync(path.join(import.meta.dirname, '../../../docs/kubernetes-components.md'), 'utf8');
  const [, part = ''] = text.split(`\n## ${section}\n`);
  const rows = (part.split('\n## ')[0] ?? '')
    .split('\n')
    .filter((l) => l.startsWith('| ') && !l.startsWith('| group '));
  return rows.flatMap((row) => {
    const [group = '', what = '', verbs = '', scope = ''] = row
      .split('|')
      .slice(1)
      .map((c) => c.trim());
    if (!/^(cluster|chainmail-system)$/.test(scope)) return [];
    const [resources = '', name = ''] = what.split(', name ');
    return resources
      .split(', ')
      .map((r) => line(scope, group === 'core' ? '' : group, r, name.replaceAll('`', ''), verbs.split(', ')));
  });
}
const line = (scope: string, group: string, resource: string, name: string, verbs: readonly string[]): string =>
  `${scope}: ${group}/${resource} ${name} ${[...verbs].sort().join(',')}`;

test('rights are exactly those that docs/kubernetes-components.md asks for', (t) => {
  for (const [section, name] of [
    ['CA', 'chainmail-ca'],
    ['Control', 'chainmail-control'],
    ['Injector', 'chainmail-injector'],
  ] as const) {
    const roles = [...ofKind('ClusterRole'), ...ofKind('Role')].filter((r) => r.metadata.name === name);
    const granted = roles.flatMap((role) =>
      (role['rules'] as readonly Record<string, readonly string[]>[]).flatMap((r) =>
        (r['resources'] ?? []).map((resource) =>
          line(
            role.kind === 'Role' ? 'chainmail-system' : 'cluster',
            r['apiGroups']?.[0] ?? '',
            resource,
            r['resourceNames']?.[0] ?? '',
            r['verbs'] ?? [],
          ),
        ),
      ),
    );
    t.deepEqual([...granted].sort(), [...documented(section)].sort(), section);
  }
});

test('selectors of Services, budgets and network policies match the pods they are for', (t) => {
  const labelsOf = new Map(
    ofKind('Deployment').map((d) => [
      d.metadata.name,
      (d['spec'] as { template: { metadata: { labels: Record<string, string> } } }).template.metadata.labels,
    ]),
  );
  for (const o of [...ofKind('Service'), ...ofKind('PodDisruptionBudget')]) {
    const { selector } = o['spec'] as { selector: Record<string, unknown> };
    const wanted = (selector['matchLabels'] ?? selector) as Record<string, string>;
    for (const [k, v] of Object.entries(wanted)) t.is(labelsOf.get(o.metadata.name)?.[k], v, objectName(o));
  }
});

test('the webhook fails closed where a label asks for an agent, and never sees our own namespace', (t) => {
  const [configuration] = ofKind('MutatingWebhookConfiguration');
  const hooks = configuration?.['webhooks'] as readonly {
    readonly failurePolicy: string;
    readonly sideEffects: string;
    readonly reinvocationPolicy: string;
    readonly clientConfig: object;
    readonly namespaceSelector: { readonly matchExpressions: readonly { readonly key: string; values?: string[] }[] };
  }[];
  t.is(hooks.length, 2);
  for (const hook of hooks) {
    t.like(hook, { failurePolicy: 'Fail', sideEffects: 'None', reinvocationPolicy: 'IfNeeded' });
    t.false('caBundle' in hook.clientConfig);
    const never = hook.namespaceSelector.matchExpressions.find((e) => e.key === 'kubernetes.io/metadata.name');
    t.deepEqual(never?.values, ['kube-system', system.namespace]);
  }
});

test('an installation records the values it was made from, and they read back to the same', (t) => {
  const values = installValues({ control: { replicas: 3 } });
  const record = renderInstall(values).find((o) => o.metadata.name === installRecord.name);
  const data = record?.['data'] as Record<string, string>;
  t.deepEqual(installValues(parse(data['values.yaml'] ?? '')), values);
});

test('a changed setting of the agents replaces the injector, which reads it at its start', (t) => {
  const annotation = (values: unknown): string | undefined => {
    const deployments = ofKind('Deployment', renderInstall(installValues(values)));
    const injector = deployments.find((d) => d.metadata.name === system.injectorServiceAccount);
    return /chainmail\.dev\/settings: \S+/.exec(stringify(injector))?.[0];
  };
  t.truthy(annotation({}));
  t.is(annotation({}), annotation({ control: { replicas: 5 } }));
  t.not(annotation({}), annotation({ agent: { logLevel: 'debug' } }));
  t.regex(injectorSettings(defaultInstallValues), /^image: "chainmail.dev\/agent:0.1.0"$/m);
});
