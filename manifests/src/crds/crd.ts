/**
 * CustomResourceDefinitions of our kinds. Invariant: the schema comes from the one that @chainmail/kube checks objects
 * with; only what a schema has nothing to say about (names, columns) stands here.
 */
import { kinds, type StructuralSchema, withMessages } from '@chainmail/kube';
import { apiGroup, apiVersion } from '@chainmail/runtime';
import { type InstallObject, metaLabels } from '../install/object.ts';

type OurKind = {
  [K in keyof typeof kinds]: (typeof kinds)[K]['group'] extends 'chainmail.dev' ? K : never;
}[keyof typeof kinds];

interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'date' | 'integer';
  readonly jsonPath: string;
  readonly description?: string;
}

interface KindNames {
  readonly plural: string;
  readonly shortName: string;
  readonly description: string;
  readonly columns: readonly PrinterColumn[];
}

const condition = (type: string, description: string): PrinterColumn => ({
  name: type,
  type: 'string',
  jsonPath: `.status.conditions[?(@.type=="${type}")].status`,
  description,
});

/** Every kind of ours: a new one in @chainmail/kube does not compile here until it has its names. */
const names = {
  MeshPolicy: {
    plural: 'meshpolicies',
    shortName: 'meshpol',
    description:
      'MeshPolicy sets the mTLS mode and the default authorization of its namespace, or of the whole mesh when it ' +
      'stands in chainmail-system.',
    columns: [
      { name: 'mTLS', type: 'string', jsonPath: '.spec.mtls.mode' },
      { name: 'Default', type: 'string', jsonPath: '.spec.authorization.default' },
    ],
  },
  SecurityPolicy: {
    plural: 'securitypolicies',
    shortName: 'secpol',
    description: 'SecurityPolicy says who may do what to the Services it targets, or to its namespace.',
    columns: [
      { name: 'Target', type: 'string', jsonPath: '.spec.targetRefs[*].name' },
      { name: 'Default', type: 'string', jsonPath: '.spec.authorization.defaultAction' },
    ],
  },
  BackendTrafficPolicy: {
    plural: 'backendtrafficpolicies',
    shortName: 'btpol',
    description:
      'BackendTrafficPolicy says how clients call the Services it targets: balancing, retries, timeouts, ejection.',
    columns: [{ name: 'Target', type: 'string', jsonPath: '.spec.targetRefs[*].name' }],
  },
} as const satisfies Record<OurKind, KindNames>;

/** What control writes. Conditions are a map by type, so that server-side apply merges them. */
const statusSchema: StructuralSchema = {
  type: 'object',
  'x-kubernetes-preserve-unknown-fields': true,
  properties: {
    agents: { type: 'integer', format: 'int64', description: 'agents this object concerns' },
    acknowledged: { type: 'integer', format: 'int64', description: 'agents that have it' },
    problems: { type: 'array', maxItems: 256, items: { type: 'string', maxLength: 4096 } },
    conditions: {
      type: 'array',
      maxItems: 16,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: {
        type: 'object',
        'x-kubernetes-preserve-unknown-fields': true,
        required: ['type', 'status'],
        properties: {
          type: { type: 'string', maxLength: 316 },
          status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
          observedGeneration: { type: 'integer', format: 'int64' },
          lastTransitionTime: { type: 'string', format: 'date-time' },
          reason: { type: 'string', maxLength: 1024 },
          message: { type: 'string', maxLength: 32_768 },
        },
      },
    },
  },
};

/** The root of a kind's schema; an API server checks apiVersion, kind and metadata itself. */
function rootSchema(kind: OurKind, description: string): StructuralSchema {
  const { properties = {}, required = [] } = kinds[kind].schema.structural;
  const { spec = {} } = properties;
  const shape: StructuralSchema = {
    description,
    type: 'object',
    required: required.filter((f) => f === 'spec'),
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec,
      status: statusSchema,
    },
  };
  return withMessages(shape);
}

export function customResourceDefinition(kind: OurKind): InstallObject {
  const { plural, shortName, description, columns } = names[kind];
  const version = apiVersion.slice(apiGroup.length + 1);
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${apiGroup}`, labels: metaLabels('crds') },
    spec: {
      group: apiGroup,
      scope: 'Namespaced',
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        shortNames: [shortName],
        categories: ['chainmail'],
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: rootSchema(kind, description) },
          subresources: { status: {} },
          additionalPrinterColumns: [
            ...columns,
            condition('Accepted', 'whether control understood it and put it in force'),
            condition('Programmed', 'whether every agent has it'),
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
        },
      ],
    },
  };
}

export const ourKinds: readonly OurKind[] = Object.keys(names).sort() as OurKind[];

/** As RBAC names them. */
export const ourPlurals: readonly string[] = ourKinds.map((k) => names[k].plural);

/** Every CRD of the mesh, by name. */
export function customResourceDefinitions(): readonly InstallObject[] {
  return ourKinds.map(customResourceDefinition);
}
