/**
 * The Helm chart, made from the same rendering as `meshctl install`: CRDs in crds/ (Helm never removes these), every
 * other object as a template, values.yaml with the defaults, values.schema.json from the checks. Pure: files by name.
 */
import type { StructuralSchema } from '@chainmail/kube';
import { system } from '@chainmail/runtime';
import { stringify } from 'yaml';
import { customResourceDefinitions } from '../crds/crd.ts';
import type { InstallObject } from '../install/object.ts';
import { installRecord, renderInstall } from '../install/render.ts';
import { defaultInstallValues, meshVersion, valuesSchema } from '../install/values.ts';
import { settingsAnnotation } from '../install/workload.ts';
import { eachPort, isMarked, markPattern, replaceMarks, symbolicValues } from './symbolic-values.ts';

const asYaml = (o: unknown): string => stringify(o, { lineWidth: 0, aliasDuplicateObjects: false });

const guard = `{{- if ne .Release.Namespace "${system.namespace}" }}
{{- fail "install into the namespace ${system.namespace}: it is part of every identity of the mesh" }}
{{- end }}
`;

const imagePattern = /^(agent|ca|control|injector)\.image$/;

/** The Go template of one value. JSON is YAML, and quotes what must be quoted. */
function expression(name: string): string {
  const own = `.Values.${name}`;
  const [, program] = imagePattern.exec(name) ?? [];
  if (program === undefined) return `{{ toJson ${own} }}`;
  const usual = `(printf "%s/${program}:%s" .Values.image.registry .Values.image.tag)`;
  return `{{ toJson (${own} | default ${usual}) }}`;
}

/** A list item for each API server port, where rendering the mark made one. */
function loops(text: string): string {
  const item = new RegExp(`^( *)- protocol: TCP\\n *port: ${markPattern(eachPort)}\\n`, 'gm');
  return text.replaceAll(
    item,
    (_, indent: string) =>
      `${indent}{{- range .Values.networkPolicies.apiServerPorts }}\n${indent}- protocol: TCP\n${indent}  port: {{ . }}\n${indent}{{- end }}\n`,
  );
}

/** Objects that hold texts made of values, where marks inside the text would be quoted twice. */
function special(object: InstallObject): string | undefined {
  if (object.kind !== 'ConfigMap' || object.metadata.name !== installRecord.name) return undefined;
  const { data: _, ...rest } = object;
  return `${asYaml(rest)}data:\n  ${installRecord.versionKey}: ${meshVersion}\n  ${installRecord.valuesKey}: {{ toJson .Values | quote }}\n`;
}

/** The injector's settings are a text of their own: defined once, put in, and hashed for its pods. */
const settingsName = 'chainmail.settings';

function template(object: InstallObject): string {
  const written = special(object);
  if (written !== undefined) return written;
  const { data } = object as { readonly data?: Readonly<Record<string, string>> };
  const settings = data?.['values.yaml'];
  if (settings === undefined) return replaceMarks(loops(asYaml(object)), expression).replace(hashLine, hashTemplate);
  const { data: _, ...rest } = object;
  const defined = `{{ define "${settingsName}" -}}\n${replaceMarks(settings, expression).trimEnd()}\n{{ end }}\n`;
  return `${defined}${asYaml(rest)}data:\n  values.yaml: {{ include "${settingsName}" . | quote }}\n`;
}

const hashLine = new RegExp(`${settingsAnnotation.replaceAll('.', '\\.')}: "?[0-9a-f]{16}"?`);
const hashTemplate = `${settingsAnnotation}: {{ include "${settingsName}" . | sha256sum | trunc 16 | quote }}`;

function guarded(object: InstallObject): string {
  const text = template(object);
  if (object.kind !== 'NetworkPolicy') return text;
  return `{{- if .Values.networkPolicies.enabled }}\n${text}{{- end }}\n`;
}

/** JSON Schema knows what a structural schema says, but for Kubernetes' own words; what is refused there is absent. */
function jsonSchema(schema: StructuralSchema): object {
  const { properties, items, additionalProperties, format: _, ...rest } = schema;
  const refused = new Set((schema['x-kubernetes-validations'] ?? []).map((r) => r.fieldPath?.slice(1)));
  const kept = Object.entries(rest).filter(([k]) => !k.startsWith('x-kubernetes-'));
  const known = Object.entries(properties ?? {}).filter(([name]) => !refused.has(name));
  return {
    ...Object.fromEntries(kept),
    ...(items === undefined ? {} : { items: jsonSchema(items) }),
    ...(additionalProperties === undefined ? {} : { additionalProperties: jsonSchema(additionalProperties) }),
    ...(properties === undefined
      ? {}
      : { properties: Object.fromEntries(known.map(([n, s]) => [n, jsonSchema(s)])), additionalProperties: false }),
  };
}

const chartYaml = asYaml({
  apiVersion: 'v2',
  name: 'chainmail',
  description: 'A zero-trust service mesh: injector, CA, control plane',
  type: 'application',
  version: meshVersion,
  appVersion: meshVersion,
  kubeVersion: '>=1.31.0-0',
});

const notes = `Chainmail is installed. Label a namespace, and its new pods get an agent:
  kubectl label namespace NAME chainmail.dev/inject=enabled
meshctl check --wait tells when everything stands.
`;

/** File name -> content. The namespace is the release's, so it is not among the templates. */
export function chartFiles(): ReadonlyMap<string, string> {
  const objects = renderInstall(symbolicValues()).filter(
    (o) => o.kind !== 'CustomResourceDefinition' && o.kind !== 'Namespace',
  );
  const parts = new Map<string, string[]>();
  for (const o of objects) {
    const part = o.metadata.labels?.['app.kubernetes.io/component'] ?? 'base';
    parts.set(part, [...(parts.get(part) ?? []), guarded(o)]);
  }
  const templates = [...parts].map(
    ([part, texts]) => [`templates/${part}.yaml`, `${part === 'base' ? guard : ''}${texts.join('---\n')}`] as const,
  );
  for (const [name, text] of templates) if (isMarked(text)) throw new Error(`${name}: a mark was left`);
  return new Map<string, string>([
    ['Chart.yaml', chartYaml],
    ['values.yaml', asYaml(defaultInstallValues)],
    ['values.schema.json', `${JSON.stringify(jsonSchema(valuesSchema.structural), null, 2)}\n`],
    ...customResourceDefinitions().map((d) => [`crds/${d.metadata.name}.yaml`, asYaml(d)] as const),
    ...templates,
    ['templates/NOTES.txt', notes],
  ]);
}
