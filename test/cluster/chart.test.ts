/** The Helm chart, rendered by Helm's own engine, is what `meshctl install` applies. Needs Go, so it stands here. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import { parseAllDocuments, stringify } from 'yaml';
import { binary, goVersion } from './bed/binaries.ts';

const root = path.resolve(import.meta.dirname, '../..');
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chainmail-chart-'));
test.after.always(() => fs.rmSync(dir, { recursive: true }));

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(command: string, args: readonly string[]): Ended {
  return spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
}

let helm = '';
test.before(async () => {
  helm = await binary('chart', goVersion() ?? '', () => {});
  const { status, stderr } = run(process.execPath, [
    '--no-warnings',
    path.join(root, 'manifests/src/chart/main.ts'),
    dir,
  ]);
  if (status !== 0) throw new Error(stderr);
});

interface Named {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
}

/** By kind and name. Without the record of values: the chart writes down all, install those beyond the defaults. */
function objects(text: string): Readonly<Record<string, unknown>> {
  const all = parseAllDocuments(text).map((d) => ('toJS' in d ? (d.toJS() as Named | null) : null));
  return Object.fromEntries(
    all.flatMap((o) => {
      if (o === null || typeof o !== 'object' || o.kind === 'Namespace') return [];
      const isRecord = o.kind === 'ConfigMap' && o.metadata.name === 'chainmail-install';
      const data = isRecord ? { data: { ...o.data, 'values.yaml': '' } } : {};
      return [[`${o.kind} ${o.metadata.name}`, { ...o, ...data }]];
    }),
  );
}

const definitions = (): string => {
  const folder = path.join(dir, 'crds');
  const texts = fs.readdirSync(folder).map((f) => fs.readFileSync(path.join(folder, f), 'utf8'));
  return texts.join('---\n');
};

function valuesFile(name: string, values: unknown): string {
  const file = path.join(os.tmpdir(), `${path.basename(dir)}-${name}.yaml`);
  fs.writeFileSync(file, stringify(values));
  return file;
}

const given: Readonly<Record<string, unknown>> = {
  defaults: {},
  changed: {
    trustDomain: 'prod.example',
    image: { registry: 'registry.example/mesh', tag: '1.2', pullPolicy: 'Always', pullSecrets: [{ name: 'pull' }] },
    control: {
      ...{ replicas: 3, logLevel: 'debug', nodeSelector: { 'kubernetes.io/os': 'linux' } },
      tolerations: [{ key: 'x', operator: 'Exists', effect: 'NoSchedule' }],
    },
    ca: { image: 'other/ca:9', defaultTtl: '1h', priorityClassName: 'system-cluster-critical' },
    agent: { logLevel: 'debug', concurrency: 2, resources: { limits: { memory: '1Gi' } } },
    networkPolicies: { apiServerPorts: [6443] },
  },
  open: { networkPolicies: { enabled: false } },
};

for (const [name, values] of Object.entries(given)) {
  test(`helm renders what install applies: ${name}`, (t) => {
    const file = valuesFile(name, values);
    t.teardown(() => fs.rmSync(file));
    const rendered = run(helm, [dir, file, 'chainmail-system']);
    t.is(rendered.status, 0, rendered.stderr);
    const text = rendered.stdout.split(/^---$/m).filter((d) => /^kind: /m.test(d));
    const meshctl = path.join(root, 'node_modules/.bin/meshctl');
    const wanted = run(meshctl, ['install', '--dry-run', '-o', 'yaml', '-f', file]);
    t.is(wanted.status, 0, wanted.stderr);
    t.deepEqual(objects([...text, definitions()].join('\n---\n')), objects(wanted.stdout));
  });
}

test('values that install refuses the chart refuses too, and another namespace', (t) => {
  const wrong = valuesFile('wrong', { control: { replica: 3 } });
  t.teardown(() => fs.rmSync(wrong));
  t.regex(run(helm, [dir, wrong, 'chainmail-system']).stderr, /'replica' not allowed/);
  const fine = valuesFile('fine', {});
  t.teardown(() => fs.rmSync(fine));
  t.regex(run(helm, [dir, fine, 'default']).stderr, /install into the namespace chainmail-system/);
});
