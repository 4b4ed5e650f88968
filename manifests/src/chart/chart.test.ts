/**
 * The chart renders what `meshctl install` applies. Here with the handful of template functions it uses, done by hand;
 * test/cluster/chart.test.ts holds the same against Helm's own engine.
 */
import { createHash } from 'node:crypto';
import test from 'ava';
import { parse, parseAllDocuments } from 'yaml';
import { renderInstall } from '../install/render.ts';
import { defaultInstallValues, type InstallValues, installValues } from '../install/values.ts';
import { chartFiles } from './chart.ts';

const files = chartFiles();

const at = (values: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((v, name) => (v as Readonly<Record<string, unknown>>)[name], values);

/** As Go's JSON has the names of maps. */
function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).sort(([x], [y]) => (x < y ? -1 : 1));
  return Object.fromEntries(entries.map(([name, v]) => [name, sorted(v)]));
}

/** What Helm makes of our templates, as far as they go. */
function evaluated(template: string, values: InstallValues): string {
  const json = (path: string): string => JSON.stringify(sorted(at(values, path)));
  const expressions = (text: string): string =>
    text
      .replaceAll(
        /\{\{ toJson \(\.Values\.(\S+) \| default \(printf "%s\/(\w+):%s" [^)]*\)\) \}\}/g,
        (_, path, program) =>
          JSON.stringify(at(values, path) || `${values.image.registry}/${program}:${values.image.tag}`),
      )
      .replaceAll(/\{\{ toJson \.Values \| quote \}\}/g, () => JSON.stringify(JSON.stringify(values)))
      .replaceAll(/\{\{ toJson \.Values\.(\S+) \}\}/g, (_, path: string) => json(path));
  const settings = expressions(
    /\{\{ define "chainmail.settings" -\}\}\n([\s\S]*?)\{\{ end \}\}\n/.exec(template)?.[1] ?? '',
  );
  const hash = createHash('sha256').update(settings).digest('hex').slice(0, 16);
  return expressions(
    template
      .replace(/\{\{ define [\s\S]*?\{\{ end \}\}\n/, '')
      .replace(/\{\{- if ne [\s\S]*?\{\{- end \}\}\n/, '')
      .replaceAll(
        / *\{\{- range \.Values\.networkPolicies\.apiServerPorts \}\}\n([\s\S]*?) *\{\{- end \}\}\n/g,
        (_, body: string) =>
          values.networkPolicies.apiServerPorts.map((p) => body.replace('{{ . }}', String(p))).join(''),
      )
      .replaceAll(/\{\{- if \.Values\.networkPolicies\.enabled \}\}\n([\s\S]*?)\{\{- end \}\}\n/g, (_, body: string) =>
        values.networkPolicies.enabled ? body : '',
      )
      .replaceAll('{{ include "chainmail.settings" . | quote }}', JSON.stringify(settings))
      .replaceAll('{{ include "chainmail.settings" . | sha256sum | trunc 16 | quote }}', JSON.stringify(hash)),
  );
}

/** By name. The chart writes down all values, install those beyond the defaults: compared as what they come to. */
function byName(objects: readonly unknown[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    objects.map((o) => {
      const object = structuredClone(o) as { kind: string; metadata: { name: string }; data?: Record<string, unknown> };
      const { kind, metadata, data } = object;
      if (metadata.name === 'chainmail-install' && data !== undefined)
        data['values.yaml'] = installValues(parse(String(data['values.yaml'])));
      return [`${kind} ${metadata.name}`, object];
    }),
  );
}

const given: Readonly<Record<string, unknown>> = {
  defaults: {},
  changed: {
    trustDomain: 'prod.example',
    image: { registry: 'registry.example/mesh', tag: '1.2', pullSecrets: [{ name: 'pull' }] },
    control: { replicas: 3, nodeSelector: { 'kubernetes.io/os': 'linux' }, tolerations: [{ operator: 'Exists' }] },
    ca: { image: 'other/ca:9', defaultTtl: '1h' },
    agent: { logLevel: 'debug', resources: { limits: { memory: '1Gi' } } },
    networkPolicies: { apiServerPorts: [6443] },
  },
  open: { networkPolicies: { enabled: false } },
};

for (const [name, some] of Object.entries(given)) {
  test(`the chart renders what install applies: ${name}`, (t) => {
    const values = installValues(some);
    const templates = [...files].filter(([f]) => f.startsWith('templates/') && f.endsWith('.yaml'));
    const rendered = templates.flatMap(([, text]) =>
      parseAllDocuments(evaluated(text, values)).flatMap((d) => ('toJS' in d ? ((d.toJS() as unknown) ?? []) : [])),
    );
    const wanted = renderInstall(values).filter((o) => o.kind !== 'CustomResourceDefinition' && o.kind !== 'Namespace');
    t.deepEqual(byName(rendered), byName(wanted));
  });
}

test('values.yaml is the defaults, and the schema holds them to what install checks', (t) => {
  t.deepEqual(parse(files.get('values.yaml') ?? ''), defaultInstallValues);
  const schema = JSON.parse(files.get('values.schema.json') ?? '') as {
    additionalProperties: boolean;
    properties: Readonly<Record<string, { additionalProperties: boolean; properties: object }>>;
  };
  t.false(schema.additionalProperties);
  t.false('namespace' in schema.properties);
  t.false('replicas' in (schema.properties['agent']?.properties ?? {}));
  t.true('replicas' in (schema.properties['control']?.properties ?? {}));
});

test('definitions are in crds/, where Helm never removes them', (t) => {
  t.is([...files.keys()].filter((f) => f.startsWith('crds/')).length, 3);
  for (const [name, text] of files) if (name.startsWith('crds/')) t.false(text.includes('{{'), name);
});
