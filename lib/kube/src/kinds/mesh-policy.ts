/** MeshPolicy: mTLS mode and default authorization of a namespace, or of the mesh when it stands in chainmail-system. */
import { apiVersion } from '@chainmail/runtime';
import { anything, type Infer, object, oneOf } from '../schema/schema.ts';
import { namespacedMetadata } from './meta.ts';

const everywhere = { type: 'array', advice: 'a MeshPolicy covers its whole namespace; remove the field' } as const;

export const meshPolicy = object(
  {
    apiVersion: oneOf(apiVersion),
    kind: oneOf('MeshPolicy'),
    metadata: namespacedMetadata,
    spec: object(
      {},
      {
        mtls: object({ mode: oneOf('STRICT', 'PERMISSIVE') }, {}),
        authorization: object({ default: oneOf('allow-mesh', 'allow-all', 'deny') }, {}),
      },
      { instead: { targetRefs: everywhere, targetSelectors: everywhere } },
    ),
  },
  { status: anything },
);

export type MeshPolicy = Infer<typeof meshPolicy>;
